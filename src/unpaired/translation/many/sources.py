"""What is to be translated."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from unpaired.data.decode import IMAGE_SUFFIXES
from unpaired.data.remote import RANGE, expand
from unpaired.errors import UserError
from unpaired.translation.many.share import Share, share_of
from unpaired.translation.many.stores import URL, Found, Store, open_store
from unpaired.translation.naming import targets

SHARD = ".tar"


class Piece(NamedTuple):
    """A picture or a shard that is to be translated."""

    source: int
    """Which of the sources it lies in."""
    name: str
    """In its source."""
    size: int
    """Bytes; 0: unknown."""
    target: str
    """Its name in the output folder: of a picture, without the suffix of a format."""


@dataclass(frozen=True)
class Sources:
    """All that was named to be translated: pictures or shards, not both.

    Attributes:
        stores: the folders they lie in.
        singles: of a store, the names meant; None: all pictures below it.
        prefixes: of a store, what its pictures' names begin with in the output folder.
    """

    stores: tuple[Store, ...]
    singles: tuple[tuple[str, ...] | None, ...]
    prefixes: tuple[str, ...]
    shards: bool

    @property
    def places(self) -> list[str]:
        """Addresses, for comparison; without credentials."""
        return [
            place
            for store, names in zip(self.stores, self.singles)
            for place in ([store.place] if names is None else [f"{store.place}/{n}" for n in names])
        ]

    def pieces(self, share: Share, out: Store) -> list[Piece]:
        """The share's pictures, or its shards: every WORLD_SIZE-th of them.

        Places in the output folder are as for a single process, and compared without case.

        Raises: UserError if a folder isn't there, or holds no pictures.
        """
        if self.shards:
            named = [
                Piece(at, name, 0, name)
                for at, names in enumerate(self.singles)
                for name in names or ()
            ]
            return named[share.rank :: share.ranks]
        found = [
            (self.prefixes[at] + name, at, name, size)
            for at in range(len(self.stores))
            for name, size in self._pictures(at, out)
            if share.has(self.prefixes[at] + name)
        ]
        found.sort()
        places = targets([name for name, _, _, _ in found])
        return [Piece(at, own, size, place) for (_, at, own, size), place in zip(found, places)]

    def _pictures(self, at: int, out: Store) -> Iterator[Found]:
        """Raises: UserError if there are none."""
        names = self.singles[at]
        if names is not None:
            yield from (Found(name, 0) for name in names)
            return
        any_there = False
        for found in self.stores[at].names(but=out):
            if is_picture(found.name):
                any_there = True
                yield found
        if not any_there:
            raise UserError(f'no images in "{self.stores[at].place}"; check the path')


def open_sources(named: Sequence[str], out: Store) -> Sources:
    """Paths and URLs of folders, pictures, or shards (`.tar`, with `{000..123}` for a range).

    Raises: UserError if there are none, both kinds, two shards of one name, or `out` is or
        contains a source.
    """
    stores: dict[str, tuple[Store, list[str] | None]] = {}
    places = [place for one in named for place in expanded(one)]
    shards = [is_shard(place) for place in places]
    if any(shards) and not all(shards):
        raise UserError("shards and other pictures can't be translated into one folder; do one")
    for place in places:
        if not (is_shard(place) or (is_picture(place) and not _is_folder(place))):
            stores[place] = (open_store(place), None)
            continue
        parent, name = _split(place)
        names = stores.setdefault(f"{parent}\0", (open_store(parent), []))[1]
        assert names is not None
        names.append(name)
    if not stores:
        raise UserError("nothing to translate; give a picture, a folder or shards")
    for store, names in stores.values():
        if names is None and out.holds(store):
            raise UserError(f'"{store.place}" is or lies in --out; choose another --out')
        if any(shards) and store.place == out.place:
            raise UserError(f'the shards lie in --out, "{out.place}"; choose another --out')
        if names is not None and not any(shards) and out.holds(store):
            raise UserError(f'"{names[0]}" lies in --out; choose another --out')
    folders = [store for store, names in stores.values() if names is None]
    sources = Sources(
        tuple(store for store, _ in stores.values()),
        tuple(None if names is None else tuple(names) for _, names in stores.values()),
        tuple(
            f"{PurePosixPath(store.place).name}/" if names is None and len(folders) > 1 else ""
            for store, names in stores.values()
        ),
        any(shards),
    )
    again = Counter(name for names in sources.singles for name in names or () if any(shards))
    if twice := [name for name, count in again.items() if count > 1]:
        raise UserError(f'two shards are called "{twice[0]}"; translate them into two folders')
    return sources


def expanded(place: str) -> list[str]:
    """`a-{000..123}.tar` -> a-000.tar, a-001.tar, ...; several braces multiply.

    What has no braces for shards in it, or is there under this very name, is itself.

    Raises: UserError for braces that stand for too many, and for asterisks in a shard's name.
    """
    if not URL.match(place) and os.path.lexists(place):
        return [place]
    shard = place.lower().endswith(SHARD)
    if shard and "*" in place:
        raise UserError(f'"{place}": give shards by their names, or as a range {{000..123}}')
    return expand(place) if shard or RANGE.search(place) else [place]


def is_picture(name: str) -> bool:
    """By its suffix."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - for millions


def is_shard(place: str) -> bool:
    """By its suffix, unless it is a folder that is called so."""
    return place.lower().endswith(SHARD) and not _is_folder(place)


def is_many(inputs: Sequence[str], out: str, environment: Mapping[str, str]) -> bool:
    """Whether this is more than plain files for one process."""
    return (
        share_of(environment) is not None
        or any(URL.match(place) for place in [*inputs, out])
        or any(is_shard(place) for place in inputs)
    )


def _is_folder(place: str) -> bool:
    return not URL.match(place) and Path(place).is_dir()


def _split(place: str) -> tuple[str, str]:
    """The folder and the name."""
    if URL.match(place):
        parent, _, name = place.rpartition("/")
        return parent, name
    path = Path(place)
    return str(path.parent), path.name
