"""Files of weights that come over the network once, whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import time
from collections.abc import Callable
from pathlib import Path

import torch.hub

from unpaired.errors import UserError
from unpaired.fetching.asking import answer_of
from unpaired.telling import is_quiet
from unpaired.whole import passing_name

PATIENCE = 20.0  # seconds without an answer, or at less than SLOWEST, before a download is given up
SLOWEST = 50_000  # bytes per second
LARGEST = 4_000_000_000  # bytes


def downloaded(
    url: str, place: Path | None = None, check: Callable[[Path], object] | None = None
) -> Path:
    """The file at `place`, fetched if it isn't there.

    Args:
        url: without `place`, it ends with a name as torch.hub's, NAME-DIGEST.pth: the start of its
            SHA-256, which is checked.
        place: None: in torch.hub's cache. Else nothing is known of the content.
        check: raises if the content isn't what it should be; nothing is kept then.
    Raises: UserError if it can't be had; the message says where to put it by hand.
    """
    sha256 = ""
    if place is None:
        name = url.rsplit("/", 1)[1]
        place = Path(torch.hub.get_dir()) / "checkpoints" / name
        sha256 = Path(name).stem.rsplit("-", 1)[1]
    if not place.exists():
        try:
            _download(url, place, sha256, check)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
            as_named = "" if url.endswith(f"/{place.name}") else f" as {place.name}"
            raise UserError(
                f"can't download {url} ({reason}); put that file into {place.parent}{as_named}"
            ) from None
    return place


def _download(url: str, place: Path, sha256: str, check: Callable[[Path], object] | None) -> None:
    """Fetch a file that is whole or not there; `sha256` is the start of its digest, or empty.

    Raises: OSError if there is no network, it is too slow, or something else arrives.
    """
    from rich.console import Console
    from rich.progress import Progress

    place.parent.mkdir(parents=True, exist_ok=True)
    digest, size, start = hashlib.sha256(), 0, time.monotonic()
    with passing_name(place) as passing:
        with (
            answer_of(url, {}, PATIENCE) as answer,
            passing.open("wb") as file,
            Progress(console=Console(stderr=True, quiet=is_quiet())) as progress,
        ):
            promised = answer.length
            task = progress.add_task(place.name, total=promised)
            while chunk := answer.read1(1 << 20):
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                if size > LARGEST:
                    raise OSError(f"it is over {LARGEST / 1e9:.0f} GB")
                progress.update(task, completed=size)
                passed = time.monotonic() - start
                if passed > PATIENCE and size < SLOWEST * passed:
                    raise TimeoutError(f"{size} bytes in {passed:.0f} seconds")
        if promised is not None and size != promised:
            raise OSError(f"the connection ended after {size} of {promised} bytes")
        if not digest.hexdigest().startswith(sha256):
            raise OSError("what arrived is not that file")
        if check:
            check(passing)
        passing.replace(place)
