"""Domains whose pictures are files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unpaired.data.decode import Pixels, measure, probe, read_picture
from unpaired.data.domains import DataSet, Domain
from unpaired.data.halves import Half, half_of, need_two_halves
from unpaired.data.headers import PROBED, Agreed, Asked, agree, converted
from unpaired.data.layouts import Files, Layout
from unpaired.data.units import Span, Units


def open_files(layout: Layout, asked: tuple[Asked, Asked]) -> DataSet:
    """Read the headers, leave out what can't be read, and make the domains.

    Raises: UserError if over 5 % can't be read, or not as asked.
    """
    agreed = [_agreed(layout.x, asked[0]), _agreed(layout.y, asked[1])]
    bad = {**agreed[0].bad, **agreed[1].bad}
    if layout.paired:
        together = zip(layout.x.train, layout.y.train)
        both = [not {a, b} & bad.keys() for a, b in together]
        kept = [both, both]
    else:
        kept = [[f not in bad for f in files.train] for files in (layout.x, layout.y)]
    domains = []
    for files, own, keep in zip((layout.x, layout.y), agreed, kept):
        train = [f for f, good in zip(files.train, keep) if good]
        for found, root in ((train, files.train_root), (files.test, files.test_root)):
            domains.append(file_domain(found, root, own.channels, own.dtype, files.half, own.units))
    train_x, test_x, train_y, test_y = domains
    if layout.paired and layout.x.half is None:
        bad = {file: f"{reason}; its partner is left out too" for file, reason in bad.items()}
    skipped = tuple((printable(str(f)), why) for f, why in {**layout.alone, **bad}.items())
    return DataSet(layout.name, train_x, train_y, test_x, test_y, layout.paired_test, skipped)


def _agreed(files: Files, asked: Asked) -> Agreed:
    """Read the headers of up to `PROBED` training files."""
    sample = files.train[:: max(1, len(files.train) // PROBED)]

    def probed(path: Path) -> tuple[int, str]:
        if files.half:
            need_two_halves(path, *measure(path))
        return probe(path, any_type=asked.span is not None)

    return agree(str(files.train_root), sample, probed, asked, lambda path: path.name)


def file_domain(
    files: Sequence[Path],
    root: Path,
    channels: int,
    dtype: str,
    half: Half | None = None,
    units: Units | None = None,
) -> Domain:
    """The domain of these files; each converted to `channels` and `dtype` when read.

    Args: half: of every picture; None: all of it; units: what is in the files, if not `dtype`.
    """
    names = tuple(f.relative_to(root).as_posix() for f in files)
    paths = tuple(files)
    read = _ReadFiles(paths, channels, dtype, half, units.span if units else None)
    return Domain(names, read, channels, dtype, paths, units=units)


# A class, because worker processes are sent it.
@dataclass(frozen=True)
class _ReadFiles:
    files: tuple[Path, ...]
    channels: int
    dtype: str
    half: Half | None
    span: Span | None

    def __call__(self, index: int, at_least: int | None = None) -> Pixels:
        path = self.files[index]
        # decoded smaller, the middle of a picture may lie within a pixel
        pixels = read_picture(path, None if self.half else at_least, self.span).on_white()
        if self.half:
            pixels = half_of(path, pixels, self.half)
        return converted(path, pixels, self.channels, self.dtype)


def printable(name: str) -> str:
    """A file's name as it can be written anywhere, though it be no valid UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()
