"""Files of weights that come over the network once, whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import queue
import threading
import time
import urllib.request
from pathlib import Path

import torch.hub

from unpaired.errors import UserError
from unpaired.telling import is_quiet

PATIENCE = 20.0  # seconds without an answer, or at less than SLOWEST, before a download is given up
SLOWEST = 50_000  # bytes per second
LARGEST = 4_000_000_000  # bytes


def downloaded(url: str, place: Path | None = None) -> Path:
    """The file at `place`, fetched if it isn't there.

    Args:
        url: without `place`, it ends with a name as torch.hub's, NAME-DIGEST.pth: the start of its
            SHA-256, which is checked.
        place: None: in torch.hub's cache. Else nothing is known of the content: whoever reads the
            file must check it.
    Raises: UserError if it can't be had; the message says where to put it by hand.
    """
    sha256 = ""
    if place is None:
        name = url.rsplit("/", 1)[1]
        place = Path(torch.hub.get_dir()) / "checkpoints" / name
        sha256 = Path(name).stem.rsplit("-", 1)[1]
    if not place.exists():
        try:
            _download(url, place, sha256)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
            as_named = "" if url.endswith(f"/{place.name}") else f" as {place.name}"
            raise UserError(
                f"can't download {url} ({reason}); put that file into {place.parent}{as_named}"
            ) from None
    return place


def _download(url: str, place: Path, sha256: str) -> None:
    """Fetch a file that is whole or not there; `sha256` is the start of its digest, or empty.

    Raises: OSError if there is no network, it is too slow, or something else arrives.
    """
    from rich.console import Console
    from rich.progress import Progress

    place.parent.mkdir(parents=True, exist_ok=True)
    passing = place.with_name(f"{place.name}.{os.getpid()}.part")
    digest, size, start = hashlib.sha256(), 0, time.monotonic()
    try:
        with (
            _answer(url) as answer,
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
        passing.replace(place)
    finally:
        passing.unlink(missing_ok=True)


def _answer(url: str) -> http.client.HTTPResponse:
    """The start of what the server sends.

    A look-up of names and a host of many addresses each have their own time-outs, one after the
    other; here all of them together have PATIENCE.

    Raises: OSError, http.client.HTTPException.
    """
    answers: queue.SimpleQueue[http.client.HTTPResponse | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(url, timeout=PATIENCE))
        except (OSError, http.client.HTTPException) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=PATIENCE)
    except queue.Empty:
        raise TimeoutError(f"no answer in {PATIENCE:.0f} seconds") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
