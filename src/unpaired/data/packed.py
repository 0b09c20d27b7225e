"""Data sets whose domains lie in no folder: in shards (tar files) and tables (Hugging Face)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unpaired.data.collection import Collection, collection, of_shards, of_table
from unpaired.data.decode import probe, read_picture
from unpaired.data.domains import DataSet, Domain
from unpaired.data.headers import PROBED, Agreed, Asked, agree, converted
from unpaired.data.layouts import held_out_name
from unpaired.data.opening import Encoded
from unpaired.data.order import spread
from unpaired.data.picture import Pixels
from unpaired.data.remote import glob
from unpaired.data.shards import STREAM
from unpaired.data.tables import PREFIX, Table, splits_of, table_of
from unpaired.data.units import Span
from unpaired.errors import UserError

FAR = 64  # pictures whose headers are read before a start, where each costs a request


def open_packed(
    data: str | None,
    x: str | None,
    y: str | None,
    asked: tuple[Asked, Asked],
    paired: bool,
) -> DataSet:
    """As `open_dataset`, where at least one of the two is packed.

    Raises: UserError also if pairs are wanted where there are none.
    """
    if data is not None:
        title, train, test, pairs = _of_data(data)
    else:
        assert x is not None
        assert y is not None
        if x == y:
            raise UserError(f'--x and --y are the same, "{x}"; give two')
        title, pairs = f"{x} and {y}", False
        train, test = (collection(x), collection(y)), None
    if paired and not pairs:
        raise UserError(
            "pairs are found in folders, and in tables with both pictures in a row: "
            "--data 'hf://NAME?x=COLUMN&y=COLUMN'"
        )
    agreed = [_agreed(c, own) for c, own in zip(train, asked)]
    skipped = [both for c in train for both in c.alone]
    skipped += [(c.names[i], why) for c, own in zip(train, agreed) for i, why in own.bad.items()]
    bad = [set(own.bad) for own in agreed]
    if paired:
        bad = [bad[0] | bad[1]] * 2
    domains = []
    for c, own, out, tested in zip(train, agreed, bad, test or (None, None)):
        count = len(c.names)
        held = [tested is None and held_out_name(name, count) for name in c.names]
        kept = [i for i in range(count) if not held[i] and i not in out]
        domains.append(_domain(c, own, kept))
        if tested is None:
            domains.append(_domain(c, own, [i for i in range(count) if held[i]]))
        else:
            domains.append(_domain(tested, own, range(len(tested.names))))
    train_x, test_x, train_y, test_y = domains
    shown = pairs and len(test_x) == len(test_y) > 0
    return DataSet(title, train_x, train_y, test_x, test_y, shown, tuple(skipped))


Two = tuple[Collection, Collection]
TRAIN, TEST = ("trainA", "trainB"), ("testA", "testB")


def _of_data(data: str) -> tuple[str, Two, Two | None, bool]:
    """What --data names: its title, training and test pictures, and whether rows are pairs."""
    if not data.startswith(PREFIX):
        place = data.removesuffix(STREAM).rstrip("/")
        stream = STREAM if data.endswith(STREAM) else ""
        tars = {split: glob(f"{place}/{split}*.tar") for split in TRAIN + TEST}
        if not all(tars[split] for split in TRAIN):
            raise UserError(f'no trainA*.tar and trainB*.tar in "{data}"; check the path')
        found = {s: of_shards(f"{place}/{s}{stream}", urls) for s, urls in tars.items() if urls}
        test = (found[TEST[0]], found[TEST[1]]) if {*TEST} <= {*found} else None
        return data, (found[TRAIN[0]], found[TRAIN[1]]), test, False
    splits, columns = splits_of(data)
    if columns:
        own = "test" if "test" in splits else "validation" if "validation" in splits else None
        train = _two(table_of(data, split="train", column=c) for c in columns)
        test = _two(table_of(data, split=own, column=c) for c in columns) if own else None
        return data, train, test, True
    if not {*TRAIN} <= {*splits}:
        raise UserError(
            f'"{data}" has the splits {", ".join(splits)}, not trainA and trainB; give --x and --y '
            "with ?split=..., or both columns of its pairs with ?x=...&y=..."
        )
    train = _two(table_of(data, split=s) for s in TRAIN)
    test = _two(table_of(data, split=s) for s in TEST) if {*TEST} <= {*splits} else None
    return data, train, test, False


def _two(tables: Iterable[Table]) -> Two:
    x, y = (of_table(table) for table in tables)
    return x, y


def _agreed(c: Collection, asked: Asked) -> Agreed:
    """Read the headers of some pictures: of many where that is cheap."""
    count = len(c.names)
    if c.arrival is not None:
        sample = list(range(min(FAR, int((c.arrival.block == c.arrival.block[0]).sum()))))
    else:
        sample = spread(count, FAR if c.far else PROBED)

    def probed(i: int) -> tuple[int, str]:
        return probe(c.fetch(i), any_type=asked.span is not None)

    return agree(c.title, sample, probed, asked, lambda i: c.names[i])


def _domain(c: Collection, agreed: Agreed, kept: Sequence[int]) -> Domain:
    chosen = np.array(kept, dtype=np.int64)
    channels, dtype, units = agreed.channels, agreed.dtype, agreed.units
    reader = _ReadFetched(c.fetch, chosen, channels, dtype, units.span if units else None)
    names = tuple(c.names[i] for i in kept)
    arrival = None if c.arrival is None else c.arrival.subset(kept)
    return Domain(names, reader, channels, dtype, None, c.state, arrival, units)


@dataclass(frozen=True)
class _ReadFetched:
    """A class, because worker processes are sent it."""

    fetch: Callable[[int], Encoded]
    kept: NDArray[np.int64]
    channels: int
    dtype: str
    span: Span | None

    def __call__(self, index: int, at_least: int | None = None) -> Pixels:
        file = self.fetch(int(self.kept[index]))
        pixels = read_picture(file, at_least, self.span).on_white()
        return converted(file, pixels, self.channels, self.dtype)
