"""Two collections of pictures, found on disk or in the catalog, split and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from unpaired.data.catalog import NAMED_SETS, Pictures
from unpaired.data.decode import (
    Pixels,
    measure,
    probe,
    read_picture,
)
from unpaired.data.getting import folder_of
from unpaired.data.halves import Half, half_of, need_two_halves
from unpaired.data.headers import PROBED, Agreed, Asked, agree, converted
from unpaired.data.layouts import Files, Layout, one_folder, two_folders
from unpaired.data.order import Arrival
from unpaired.data.paper_sets import PAPER_SETS
from unpaired.data.shards import is_shards
from unpaired.data.units import Span, Units
from unpaired.errors import UserError
from unpaired.options import nearest

SWAPPED = ", swapped"  # ends the name of a data set whose X and Y were exchanged

Skipped = tuple[tuple[str, str], ...]


class Read(Protocol):
    """(index, at_least) -> (H, W, channels); `at_least` as in `read_picture`."""

    def __call__(self, index: int, at_least: int | None = None) -> Pixels: ...


@dataclass(frozen=True)
class Domain:
    """One collection of pictures.

    Attributes:
        names: stable, relative, with every dot; unique.
        read: decodes one picture to `channels` and `dtype`; raises UnreadableImage.
        channels: of every picture that `read` gives.
        dtype: "uint8" or "uint16", of every picture that `read` gives.
        files: where each picture lies; None: they are not files.
        state: another one as soon as any picture changes; None: nobody knows.
        arrival: in which order they have to be read; None: in any.
        units: what the levels of `read` stand for in the files; None: for themselves.
    """

    names: tuple[str, ...]
    read: Read
    channels: int
    dtype: str
    files: tuple[Path, ...] | None = None
    state: str | None = None
    arrival: Arrival | None = None
    units: Units | None = None

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, indices: Sequence[int]) -> Domain:
        """The pictures at `indices`, in that order."""
        kept = tuple(int(i) for i in indices)
        names = tuple(self.names[i] for i in kept)
        files = None if self.files is None else tuple(self.files[i] for i in kept)
        arrival = None if self.arrival is None else self.arrival.subset(kept)
        read = _ReadSome(self.read, kept)
        return replace(self, names=names, read=read, files=files, arrival=arrival)


@dataclass(frozen=True)
class DataSet:
    """Two domains, each split. A test split may be empty.

    Attributes:
        paired_test: test pictures at the same index are two views of one thing. No unpaired method
            is told; it is for scoring.
        skipped: (name, reason) of files that can't be read.
    """

    name: str
    train_x: Domain
    train_y: Domain
    test_x: Domain
    test_y: Domain
    paired_test: bool = False
    skipped: Skipped = ()


def open_dataset(
    data: str | None = None,
    x: Path | str | None = None,
    y: Path | str | None = None,
    *,
    channels_x: int | None = None,
    channels_y: int | None = None,
    range_x: Span | None = None,
    range_y: Span | None = None,
    paired: bool = False,
    swap: bool = False,
) -> DataSet:
    """Open a named set (`worldtiles:map-aerial`), a folder with trainA/trainB or with pictures
    side by side in train, or two folders; or shards and tables instead of folders (docs/data.md).

    Two arbitrary folders are split by `held_out`. Channels, unless given, are what most files have.

    Args:
        channels_x, channels_y: of X and Y as they are returned.
        range_x, range_y: the values that stand for -1 and 1; None: the range of the type.
        paired: training pictures at the same index are to show one thing, and test pictures too;
            files without partner are skipped.
        swap: exchange X and Y.
    Raises: UserError if a folder is missing, holds no pictures or not the pairs that are wanted, or
        over 5 % can't be read.
    """
    if swap:
        return _swapped(
            open_dataset(
                data,
                x,
                y,
                channels_x=channels_y,
                channels_y=channels_x,
                range_x=range_y,
                range_y=range_x,
                paired=paired,
            )
        )
    if data is not None and (x is not None or y is not None):
        raise UserError("--data and --x/--y are both given; drop one of them")
    if data is None and (x is None or y is None):
        missing = "--data FOLDER, or --x FOLDER and --y FOLDER"
        if (x is None) != (y is None):
            missing = "--y FOLDER" if y is None else "--x FOLDER"
        raise UserError(f"no pictures to learn from; give {missing}")
    asked = Asked(channels_x, range_x, "x"), Asked(channels_y, range_y, "y")
    if any(is_packed(str(spec)) for spec in (data, x, y) if spec is not None):
        from unpaired.data.packed import open_packed

        one, two = (None if spec is None else str(spec) for spec in (x, y))
        return open_packed(data, one, two, asked, paired)
    if data is None:
        assert x is not None
        assert y is not None
        return _assemble(two_folders(Path(x), Path(y), paired), asked)
    name, _, rest = data.partition(":")
    if name in NAMED_SETS and not Path(data).exists():
        found = _named(data, name, rest, paired)
        for own, domain in zip(asked, (found.train_x, found.train_y)):
            if own.channels not in (None, domain.channels):
                raise UserError(
                    f"--channels-{own.domain} is {own.channels}, but {data} has "
                    f"{domain.channels} channels; drop it"
                )
            if own.span not in (None, (0, 255)):
                raise UserError(f"{data} has a range of its own, 0 to 255; drop --images.range")
        return found
    return _assemble(one_folder(_root(data), paired), asked)


def layout_of(data: str | None, x: Path | str | None, y: Path | str | None) -> Layout | None:
    """Which files `open_dataset` would open; None: there are none, or not yet known.

    Raises: UserError as `open_dataset`.
    """
    if any(is_packed(str(spec)) for spec in (data, x, y) if spec is not None):
        return None
    if data is not None:
        named = data.partition(":")[0] in NAMED_SETS and not Path(data).exists()
        return None if named else one_folder(_root(data), False)
    return two_folders(Path(x), Path(y), False) if x and y else None


def _root(data: str) -> Path:
    """The folder of a data set, given as it is or by its name.

    Raises: UserError if it isn't here.
    """
    if not Path(data).exists() and data in PAPER_SETS:
        if not PAPER_SETS[data].trains:
            raise UserError(
                f"{data} holds pictures to translate and none to train on; give another set"
            )
        if folder := folder_of(data):
            return folder
        raise UserError(f"{data} isn't here yet; fetch it first: unpaired data get {data}")
    if not Path(data).is_dir():
        known = "worldtiles:map-aerial (`unpaired data list` has all)"
        raise UserError(
            f'no folder "{data}"{nearest(data, PAPER_SETS)}; check the path, or give a named set '
            f"such as {known}"
        )
    return Path(data)


def is_packed(spec: str) -> bool:
    """Whether `spec` names shards or a table, or a folder that holds shards."""
    if spec.startswith("hf://") or is_shards(spec) or "://" in spec:
        return True
    return any(Path(spec).glob("trainA*.tar")) if Path(spec).is_dir() else False


def _swapped(dataset: DataSet) -> DataSet:
    return DataSet(
        dataset.name + SWAPPED,
        dataset.train_y,
        dataset.train_x,
        dataset.test_y,
        dataset.test_x,
        dataset.paired_test,
        dataset.skipped,
    )


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


# Three ways to read; classes, because worker processes are sent them.
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


@dataclass(frozen=True)
class _ReadArray:
    pictures: Pictures

    def __call__(self, index: int, at_least: int | None = None) -> Pixels:  # noqa: ARG002
        return self.pictures[index]


@dataclass(frozen=True)
class _ReadSome:
    read: Read
    kept: tuple[int, ...]

    def __call__(self, index: int, at_least: int | None = None) -> Pixels:
        return self.read(self.kept[index], at_least)


def _assemble(layout: Layout, asked: tuple[Asked, Asked]) -> DataSet:
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


def printable(name: str) -> str:
    """A file's name as it can be written anywhere, though it be no valid UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def _named(data: str, name: str, rest: str, paired: bool) -> DataSet:
    tiles = NAMED_SETS[name](rest, paired)

    def domain(pictures: Pictures, split: str) -> Domain:
        read = _ReadArray(pictures)
        return Domain(tiles.names[split], read, pictures.shape[3], str(pictures.dtype))

    return DataSet(
        data,
        domain(tiles.train_x, "train_x"),
        domain(tiles.train_y, "train_y"),
        domain(tiles.test_x, "test"),
        domain(tiles.test_y, "test"),
        paired_test=True,
    )
