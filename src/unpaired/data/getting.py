"""Data sets by name: fetched, checked, unpacked into the cache; whole there or not at all.

get("horse2zebra")      the folder, fetched if need be
folder_of("horse2zebra")    the folder, if it is here
"""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unpaired.cache import cache_folder
from unpaired.data.cityscapes import ARCHIVES, prepare
from unpaired.data.layouts import list_images
from unpaired.data.paper_sets import ACCOUNT, PAPER_SETS
from unpaired.data.unpacking import unpack
from unpaired.errors import UserError, without_credentials
from unpaired.fetching import fetched, file_sha256
from unpaired.meter import meter
from unpaired.whole import alone, passing_folder

RECORD = "source.json"
SUFFIXES = (".zip", ".tar.gz")
SPLITS = ("trainA", "trainB", "testA", "testB", "train", "val", "test")


@dataclass(frozen=True)
class Got:
    """A data set that is here.

    Attributes:
        record: what is known of where it comes from; `source.json` in the folder.
        counts: pictures by split.
    """

    folder: Path
    record: dict[str, str | int]
    counts: dict[str, int]


def folder_of(name: str) -> Path | None:
    """Where `get` has put a set in the cache; None if it hasn't."""
    folder = cache_folder("data") / name
    return folder if folder.is_dir() else None


def get(
    name: str, *, out: Path | None = None, source: str | None = None, sha256: str | None = None
) -> Got:
    """The folder of a set of the paper, fetched and unpacked unless it is there.

    An archive that lies under its name in the cache's data folder, put there by hand, is taken
    instead of a download.

    Args:
        out: where to unpack to; None: the cache, where `--data NAME` finds it.
        source: an archive to take instead, as a path or an address.
        sha256: of the archive, instead of the published one.
    Raises: UserError if there is no such set, nobody may pass it on, it can't be had, isn't the
        published file, or isn't such a set.
    """
    known = PAPER_SETS[name]
    folder = cache_folder("data") / name if out is None else out
    if folder.name in ("", ".."):
        raise UserError(f'"{folder}" has no name of its own; name a new folder')
    expected = (sha256 or known.sha256 or "").lower() or None
    with held(name):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            record = record_of(folder) if (folder / RECORD).is_file() else {}
            if record.get("name") != name:
                raise UserError(f'"{folder}" exists already; name a folder that is free')
            if out is None:  # what one who was killed after unpacking has left
                for suffix in SUFFIXES:
                    _download(name, suffix).unlink(missing_ok=True)
            return Got(folder, record, count(folder))
        if known.url is None:
            _prepare(folder, source)
            return Got(folder, record_of(folder), count(folder))
        archive, passing = _archive(name, source or known.url, expected)
        if (digest := file_sha256(archive)) != (expected or digest):
            again = "" if source and not passing else "delete it to fetch it again, or "
            raise UserError(
                f'"{archive}" is not the published file: its SHA-256 is {digest}, not {expected}; '
                f"{again}if you trust it, give --sha256 with the first"
            )
        record = {
            "name": name,
            "source": without_credentials(source or known.url),
            "sha256": digest,
            "bytes": archive.stat().st_size,
            "licence": known.licence,
        }
        _unpack_whole(name, archive, folder, record)
        if passing:
            archive.unlink()
    return Got(folder, record_of(folder), count(folder))


def _archive(name: str, source: str, sha256: str | None) -> tuple[Path, bool]:
    """An archive on this disk, fetched if need be, and whether it is ours to delete.

    Raises: UserError if it can't be had.
    """
    if "://" not in source:
        if not Path(source).is_file():
            raise UserError(f'no file "{source}"; check the path given with --from')
        return Path(source), False
    tar = source.lower().split("?")[0].endswith((".tar.gz", ".tgz"))
    suffix = SUFFIXES[tar]
    by_hand = cache_folder("data") / f"{name}{suffix}"
    if by_hand.is_file():
        return by_hand, False
    place = _download(name, suffix)
    if not place.is_file():
        fetched(source, place, sha256=sha256, by_hand=by_hand)
    return place, True


def _download(name: str, suffix: str) -> Path:
    """Where an archive lies from its download to its unpacking."""
    return cache_folder("data") / f"download-{name}{suffix}"


def _prepare(folder: Path, source: str | None) -> None:
    """Cityscapes, from the archives that its account gives."""
    if source is None:
        raise UserError(
            f"cityscapes can't be downloaded without an account: register at {ACCOUNT}, download "
            f"{' and '.join(ARCHIVES)} into one folder, then: unpaired data get cityscapes --from "
            "FOLDER"
        )
    with passing_folder(folder) as passing:
        prepare(Path(source), passing)
        licence = PAPER_SETS["cityscapes"].licence
        record = {"name": "cityscapes", "source": ACCOUNT, "licence": licence}
        (passing / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
        _move(passing, folder)


def record_of(folder: Path) -> dict[str, str | int]:
    """What `get` noted of a folder. Raises: UserError if it can't be read."""
    try:
        record: dict[str, str | int] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UserError(
            f'"{folder / RECORD}" can\'t be read; delete the folder and get it again'
        ) from None
    return record


def count(folder: Path) -> dict[str, int]:
    """Pictures by split, of those that are there."""
    found = {
        split: len(list_images(folder / split)) for split in SPLITS if (folder / split).is_dir()
    }
    return found or {"pictures": len(list_images(folder))}


def _move(made: Path, folder: Path) -> None:
    """Raises: UserError if something has come to stand there meanwhile."""
    try:
        made.replace(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise UserError(f'"{folder}" exists already; name a folder that is free') from None


@contextlib.contextmanager
def held(name: str) -> Iterator[None]:
    """Keep other processes from working on the same set at once. Raises: UserError if one does."""
    cache = cache_folder("data")
    cache.mkdir(parents=True, exist_ok=True)
    with alone(cache / f".{name}.lock") as ours:
        if not ours:
            raise UserError(f"another process is getting {name}; wait until it is done")
        yield


def _unpack_whole(name: str, archive: Path, folder: Path, record: dict[str, str | int]) -> None:
    """Unpack beside `folder`, look at what came, and move it there at once."""
    with passing_folder(folder) as passing:
        with meter(f"unpacking {archive.name}") as show:
            unpack(archive, passing, show)
        inner = list(passing.iterdir())
        wrapped = len(inner) == 1 and inner[0].is_dir() and inner[0].name not in SPLITS
        content = inner[0] if wrapped else passing
        _check(name, archive, content)
        (content / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
        _move(content, folder)


def _check(name: str, archive: Path, content: Path) -> None:
    """Raises: UserError if what was unpacked isn't such a set."""
    known, found = PAPER_SETS[name], count(content)
    wanted = ("train",) if known.paired else ("trainA", "trainB") if known.trains else ()
    if missing := [split for split in wanted if not found.get(split)]:
        raise UserError(
            f'"{archive}" has no pictures in {missing[0]}: not {name}; check where it is from'
        )
    if not sum(found.values()):
        raise UserError(f'"{archive}" has no pictures in it: not {name}; check where it is from')


def describe() -> str:
    """The sets of the paper, for people: a line each, with size, counts and whether it is here."""
    lines = ["sets of the CycleGAN paper, by `unpaired data get NAME`"]
    for name, known in PAPER_SETS.items():
        size = (
            "account" if known.url is None else f"{known.size / 1e6:,.0f} MB" if known.size else "?"
        )
        pictures = "" if known.counts is None else f"{sum(known.counts):,} pictures"
        here = ", here" if folder_of(name) else ""
        lines.append(f"  {name:<23}{size:>9}{pictures:>17}  {known.about}{here}")
    return "\n".join(lines)
