"""Two collections of pictures, found on disk or in the catalog, split and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unpaired.data.catalog import NAMED_SETS, Pictures
from unpaired.data.decode import Pixels
from unpaired.data.domains import DataSet, Domain
from unpaired.data.files import open_files
from unpaired.data.getting import folder_of
from unpaired.data.headers import Asked
from unpaired.data.layouts import Layout, one_folder, two_folders
from unpaired.data.packed import open_packed
from unpaired.data.paper_sets import PAPER_SETS
from unpaired.data.shards import is_shards
from unpaired.data.units import Span
from unpaired.errors import UserError
from unpaired.options import nearest


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
        return open_dataset(
            data,
            x,
            y,
            channels_x=channels_y,
            channels_y=channels_x,
            range_x=range_y,
            range_y=range_x,
            paired=paired,
        ).swapped()
    if data is not None and (x is not None or y is not None):
        raise UserError("--data and --x/--y are both given; drop one of them")
    if data is None and (x is None or y is None):
        missing = "--data FOLDER, or --x FOLDER and --y FOLDER"
        if (x is None) != (y is None):
            missing = "--y FOLDER" if y is None else "--x FOLDER"
        raise UserError(f"no pictures to learn from; give {missing}")
    asked = Asked(channels_x, range_x, "x"), Asked(channels_y, range_y, "y")
    if any(is_packed(str(spec)) for spec in (data, x, y) if spec is not None):
        one, two = (None if spec is None else str(spec) for spec in (x, y))
        return open_packed(data, one, two, asked, paired)
    if data is None:
        assert x is not None
        assert y is not None
        return open_files(two_folders(Path(x), Path(y), paired), asked)
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
    return open_files(one_folder(_root(data), paired), asked)


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


# A class, because worker processes are sent it.
@dataclass(frozen=True)
class _ReadArray:
    pictures: Pictures

    def __call__(self, index: int, at_least: int | None = None) -> Pixels:  # noqa: ARG002
        return self.pictures[index]
