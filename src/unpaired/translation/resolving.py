"""What people name as a run, to what can be loaded: the one place that decides.

In this order, the first that fits:

1. a path that exists: a run folder, a checkpoint folder, a file from `unpaired export`; any other
   file is taken for weights from elsewhere, imported into the cache folder;
2. the name of a published model, downloaded into the cache folder and imported;
3. user/name or user/name@revision: a repository of the Hugging Face Hub, fetched into its cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from unpaired import __version__
from unpaired.cache import cache_folder, forget_oldest
from unpaired.errors import UserError, reason_of
from unpaired.locks import HeldError, held
from unpaired.options import nearest
from unpaired.telling import note
from unpaired.translation.hub.fetching import Access, fetched
from unpaired.translation.hub.names import HubName, hub_name
from unpaired.translation.hub.refusing import NotThereError, UnreachedError
from unpaired.translation.published import PUBLISHED

if TYPE_CHECKING:  # they bring torch
    from unpaired.networks.blocks import Norm
    from unpaired.translation.importing import Source

EXPORTS = {".onnx", ".xml", ".bin", ".pt2"}
"""Endings of files from `unpaired export`."""
PATIENCE = 120.0
"""Seconds to wait for another process that imports."""
VERSION = 1
"""Of how imports are kept; another one is made anew."""


def resolve(source: Path | str) -> Path:
    """A run folder, checkpoint folder or exported file for what people name.

    Raises: UserError if there is no such thing, it can't be downloaded, or isn't understood.
    """
    path = Path(source)
    if path.is_dir() or path.suffix.lower() in EXPORTS:
        return path
    if name := _on_the_hub(source):
        with _no_run_at(source):
            return from_hub(name)
    return _kept(weights_of(source))


def from_hub(name: HubName, access: Access | None = None) -> Path:
    """A checkpoint folder for a repository of the Hub.

    Raises: UserError as `fetching.fetched`, or if its weights aren't understood.
    """
    from unpaired.translation.importing import Source

    found = fetched(name, access)
    return found.path if found.is_checkpoint else _kept(Source(found.path, found.called))


def _on_the_hub(source: Path | str) -> HubName | None:
    """The repository that is meant, if there is no such path and no published model."""
    name = str(source)
    return None if os.path.lexists(name) or name in PUBLISHED else hub_name(name)


@contextlib.contextmanager
def _no_run_at(source: Path | str) -> Iterator[None]:
    """A path that was mistyped may look like a repository: say of both that they aren't there."""
    try:
        yield
    except (NotThereError, UnreachedError) as error:
        raise UserError(
            f'no run at "{source}": check the path; as a name of the Hub: {error}'
        ) from None


def weights_of(source: Path | str, part: str | None = None, norm: Norm | None = None) -> Source:
    """The file of weights that is meant: one that is there, published, or on the Hub.

    Args: part, norm: as for `weights.read_generator`.
    Raises: UserError if there is none, or it can't be downloaded.
    """
    from unpaired.translation.importing import Source

    path, name = Path(source), str(source)
    if path.is_dir():
        raise UserError(f'"{path}" is a folder; give a file of weights')
    if path.is_file():
        return Source(path, path.name, part, norm)
    if os.path.lexists(path):
        raise UserError(f'"{path}" is neither a folder nor a file; check the path')
    if hub := _on_the_hub(source):
        with _no_run_at(source):
            found = fetched(hub)
        if found.is_checkpoint:
            raise UserError(f'"{name}" is a run on the Hub, which needs no import; use it as RUN')
        return Source(found.path, found.called, part, norm)
    if name not in PUBLISHED:
        meant = nearest(name, PUBLISHED)
        raise UserError(
            f'no run at "{name}"{meant}; check the path, or take a published model of '
            "`unpaired import --list`, or user/name of the Hub"
        )
    return Source(_downloaded(name), PUBLISHED[name].url, part, norm)


def _downloaded(name: str) -> Path:
    """A published file, in the cache folder if it can be read; nothing else is kept there."""
    from unpaired.networks.download import downloaded
    from unpaired.translation.weights import read_tensors

    url = PUBLISHED[name].url
    place = cache_folder("published") / f"{name.replace(':', '-')}.pth"
    if not place.exists():
        note(f"downloading {url} ...")

        def check(arrived: Path) -> None:
            try:
                read_tensors(arrived)
            except UserError as error:
                raise UserError(
                    f"what {url} sent is no file of weights, nothing was kept: {error}"
                ) from None

        downloaded(url, place, check)
    return place


def _kept(source: Source) -> Path:
    """The run folder of a file of weights in the cache folder, made if it isn't there."""
    from unpaired.translation.importing import import_weights
    from unpaired.translation.weights import digest, size_of

    try:
        size_of(source.path)
        content = digest(source.path)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UserError(f'cannot read "{source.path}": {why}; check the path') from None
    key = hashlib.sha256(os.fsencode(f"{VERSION} {__version__} {source.called} {content}"))
    folder = cache_folder("imported") / key.hexdigest()[:32]
    with contextlib.suppress(OSError):  # a folder may be there to read only
        os.utime(folder)
    if _is_whole(folder):
        return folder
    mend = "make room or mend the folder, or set $UNPAIRED_CACHE to another"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with held(folder.parent, PATIENCE, note, "waiting for another process that imports ..."):
            if not _is_whole(folder):  # another process may have made it meanwhile
                shutil.rmtree(folder, ignore_errors=True)
                settings = import_weights(source, folder, instead=mend)
                note(f"{source.path.name}: {settings.G.layout.in_words()}")
            forget_oldest(folder)
    except HeldError:
        raise UserError(
            f'another process has been importing into "{folder.parent}" for {PATIENCE:g} seconds; '
            "try again when it is done"
        ) from None
    except OSError as error:
        why = reason_of(error)
        raise UserError(f'cannot write to "{folder.parent}": {why}; {mend}') from None
    return folder


def _is_whole(folder: Path) -> bool:
    """Whether an import is there, and what was written."""
    from unpaired.training.checkpoint import check_weights
    from unpaired.training.finding import find_checkpoint

    try:
        check_weights(find_checkpoint(folder))
    except UserError:
        return False
    return True
