"""Domains of pictures that lie in no folder: shards (tar files) and tables (Hugging Face)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unpaired.data.agreement import PROBED, UNREADABLE_SHARE, Checked, agree, converted
from unpaired.data.decode import UnreadableImage, probe, read_picture
from unpaired.data.domains import DataSet, Domain
from unpaired.data.layouts import held_out_name, list_images
from unpaired.data.opening import Encoded, Member
from unpaired.data.order import Arrival, spread
from unpaired.data.picture import Pixels
from unpaired.data.remote import filesystem, glob, protocols_of
from unpaired.data.shards import (
    STREAM,
    DamagedShard,
    Entry,
    Shard,
    digest,
    is_shards,
    open_shard,
    opened_stream,
    read,
    shard_urls,
    walk,
)
from unpaired.data.streams import Stream, in_blocks
from unpaired.data.tables import PREFIX, Table, splits_of, table_of
from unpaired.errors import UserError

FAR = 64  # pictures whose headers are read before a start, where each costs a request
TOGETHER = 8  # shards that are looked through at once


@dataclass(frozen=True)
class Collection:
    """Pictures of one domain, wherever they lie; none was decoded yet.

    Attributes:
        fetch: (index) -> a file; whoever has to read it in an order says so by `arrival`.
        state: another one as soon as a picture changes, as far as its place tells.
        far: every picture costs a request over a network.
        alone: parts that can't be used, and why.
    """

    title: str
    names: tuple[str, ...]
    fetch: Callable[[int], Encoded]
    state: str
    arrival: Arrival | None = None
    far: bool = False
    alone: tuple[tuple[str, str], ...] = ()


def collection(spec: str) -> Collection:
    """What --x or --y names. Raises: UserError."""
    if spec.startswith(PREFIX):
        return of_table(table_of(spec))
    if is_shards(spec):
        return of_shards(spec, shard_urls(spec))
    root = Path(spec)
    files = list_images(root) if root.is_dir() else []
    if not files:
        raise UserError(f'no folder of images at "{spec}"; check the path')
    names = tuple(file.relative_to(root).as_posix() for file in files)
    state = digest([(n, f.lstat().st_size, f.lstat().st_mtime_ns) for n, f in zip(names, files)])
    return Collection(spec, names, _FetchFiles(tuple(files)), state)


def of_shards(spec: str, urls: Sequence[str]) -> Collection:
    """The pictures of tar files. A shard that is damaged is left out as a whole, and named.

    Args: spec: what to call them all; whether it ends in #stream counts.
    Raises: UserError if over 5 % of them are, one can't be reached, or they hold no pictures.
    """
    shards, alone = list[Shard](), list[tuple[str, str]]()

    def look(url: str) -> Shard | DamagedShard:
        try:
            return open_shard(url, stream=spec.endswith(STREAM))
        except DamagedShard as error:
            return error

    with ThreadPoolExecutor(TOGETHER) as pool:
        for found in pool.map(look, urls):
            if isinstance(found, Shard):
                shards.append(found)
            else:
                alone.append((found.url, f"{found.reason}; the shard is left out"))
    if len(alone) > UNREADABLE_SHARE * len(urls):
        raise UserError(
            f"{len(alone)} of {len(urls)} shards can't be read ({': '.join(alone[0])}), over "
            f"{UNREADABLE_SHARE:.0%}; mend or remove them"
        )
    entries = [entry for shard in shards for entry in shard.entries]
    if not entries:
        raise UserError(f'no images in "{spec}"; check that the tar files hold .jpg, .png, ...')
    part = np.repeat(np.arange(len(shards)), [len(shard.entries) for shard in shards])
    names, state = _names(entries), digest([(s.url, s.state) for s in shards])
    where = tuple(shard.url for shard in shards)
    offset = np.array([entry.offset for entry in entries], dtype=np.int64)
    size = np.array([entry.size for entry in entries], dtype=np.int64)
    far = not {"file", "local", "memory"} & {*protocols_of(filesystem(urls[0])[0])}
    if all(shard.seekable for shard in shards):
        fetch = _FetchRanges(where, names, part, offset, size)
        return Collection(spec, names, fetch, state, far=far, alone=tuple(alone))
    arrival = in_blocks(part.tolist(), size.tolist())
    stream = _ShardStream(arrival, offset, where)
    return Collection(spec, names, stream, state, arrival, far, tuple(alone))


def of_table(table: Table) -> Collection:
    """The rows of a table."""
    names = tuple(f"{table.split}/{row:08d}" for row in range(table.count))
    return Collection(table.title, names, table.fetch, table.state, table.arrival, table.far)


def _names(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Shard and member, relative to the folder that all shards share; unique."""
    urls = sorted({entry.url for entry in entries})
    first, last = urls[0].split("/")[:-1], urls[-1].split("/")[:-1]
    shared = next((i for i, (a, b) in enumerate(zip(first, last)) if a != b), len(first))
    cut = len("/".join(first[:shared])) + (shared > 0)
    seen: dict[str, int] = {}
    names = []
    for entry in entries:
        name = f"{entry.url[cut:]}/{entry.name.removeprefix('./')}"
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return tuple(names)


def open_packed(
    data: str | None,
    x: str | None,
    y: str | None,
    channels_x: int | None,
    channels_y: int | None,
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
    checked = [_check(c, asked) for c, asked in zip(train, (channels_x, channels_y))]
    skipped = [both for c in train for both in c.alone]
    skipped += [(c.names[i], why) for c, own in zip(train, checked) for i, why in own.bad.items()]
    bad = [set(own.bad) for own in checked]
    if paired:
        bad = [bad[0] | bad[1]] * 2
    domains = []
    for c, own, out, tested in zip(train, checked, bad, test or (None, None)):
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


def _check(c: Collection, channels: int | None) -> Checked:
    """Read the headers of some pictures: of many where that is cheap."""
    count = len(c.names)
    if c.arrival is not None:
        sample = list(range(min(FAR, int((c.arrival.block == c.arrival.block[0]).sum()))))
    else:
        sample = spread(count, FAR if c.far else PROBED)
    with ThreadPoolExecutor(TOGETHER) as pool:
        results = dict(zip(sample, pool.map(lambda index: _probe(c, index), sample)))
    return agree(c.title, results, channels, lambda index: c.names[index])


def _probe(c: Collection, index: int) -> tuple[int, str] | str:
    try:
        return probe(c.fetch(index))
    except UnreadableImage as error:
        return error.reason


def _domain(c: Collection, checked: Checked, kept: Sequence[int]) -> Domain:
    chosen = np.array(kept, dtype=np.int64)
    reader = _ReadFetched(c.fetch, chosen, checked.channels, checked.dtype)
    names = tuple(c.names[i] for i in kept)
    arrival = None if c.arrival is None else c.arrival.subset(kept)
    return Domain(names, reader, checked.channels, checked.dtype, None, c.state, arrival)


# Ways to fetch and read; classes, because worker processes are sent them.
@dataclass(frozen=True)
class _ReadFetched:
    fetch: Callable[[int], Encoded]
    kept: NDArray[np.int64]
    channels: int
    dtype: str

    def __call__(self, index: int, at_least: int | None = None) -> Pixels:
        file = self.fetch(int(self.kept[index]))
        return converted(file, read_picture(file, at_least).on_white(), self.channels, self.dtype)


@dataclass(frozen=True)
class _FetchFiles:
    files: tuple[Path, ...]

    def __call__(self, index: int) -> Encoded:
        return self.files[index]


@dataclass(frozen=True)
class _FetchRanges:
    """Each picture by its own range of bytes."""

    urls: tuple[str, ...]
    names: tuple[str, ...]
    part: NDArray[np.int64]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]

    def __call__(self, index: int) -> Encoded:
        url, name = self.urls[int(self.part[index])], self.names[index]
        return Member(name, read(Entry(url, name, int(self.offset[index]), int(self.size[index]))))


class _ShardStream(Stream):
    """Shards from end to end, one after the other."""

    def __init__(self, arrival: Arrival, keys: NDArray[np.int64], urls: tuple[str, ...]) -> None:
        super().__init__(arrival, keys)
        self.urls = urls

    def __str__(self) -> str:
        return self.urls[0] if len(self.urls) == 1 else f"{self.urls[0]} and others"

    def open(self, part: int, key: int) -> Iterator[tuple[int, Encoded]]:
        with opened_stream(*filesystem(self.urls[part])) as file:
            for (name, offset, size), content in walk(file):
                if offset >= key:
                    found = content.read()
                    if len(found) < size:
                        raise OSError(f"{self.urls[part]} broke off")
                    yield offset, Member(f"{self.urls[part]}/{name}", found)
