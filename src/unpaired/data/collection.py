"""The pictures of one domain, wherever they lie: in a folder, in shards (tar files), in a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unpaired.data.headers import UNREADABLE_SHARE
from unpaired.data.layouts import list_images, refuse_saved_table
from unpaired.data.opening import Encoded, Member
from unpaired.data.order import Arrival
from unpaired.data.remote import filesystem, protocols_of
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
from unpaired.data.tables import PREFIX, Table, table_of
from unpaired.errors import UserError

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
        refuse_saved_table(root, "--x or --y")
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


# Ways to fetch; classes, because worker processes are sent them.
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
