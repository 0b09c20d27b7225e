"""What a domain is, and a data set: two of them, split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from unpaired.data.decode import (
    Pixels,
)
from unpaired.data.order import Arrival
from unpaired.data.units import Units

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

    def swapped(self) -> DataSet:
        """X and Y exchanged; its name says so."""
        return DataSet(
            self.name + SWAPPED,
            self.train_y,
            self.train_x,
            self.test_y,
            self.test_x,
            self.paired_test,
            self.skipped,
        )


# A class, because worker processes are sent it.
@dataclass(frozen=True)
class _ReadSome:
    read: Read
    kept: tuple[int, ...]

    def __call__(self, index: int, at_least: int | None = None) -> Pixels:
        return self.read(self.kept[index], at_least)
