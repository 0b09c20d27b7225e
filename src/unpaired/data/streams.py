"""Pictures that can only be had one after the other: read in blocks, one of which is held."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unpaired.data.opening import Encoded
from unpaired.data.order import Arrival
from unpaired.data.remote import patiently
from unpaired.errors import UserError

BLOCK_PICTURES = 1000  # that are mixed with each other
BLOCK_BYTES = 1 << 28  # and held, at most, unless one picture alone is larger


def in_blocks(part: Sequence[int], size: Sequence[int]) -> Arrival:
    """Cut what lies in a row into blocks.

    Args:
        part: (N,) the stream of each picture; ascending.
        size: (N,) its bytes, or 0 if nobody knows.
    """
    block, number, pictures, held = [], 0, 0, 0
    for i, (at, length) in enumerate(zip(part, size)):
        full = pictures == BLOCK_PICTURES or (pictures and held + length > BLOCK_BYTES)
        if i and (full or at != part[i - 1]):
            number, pictures, held = number + 1, 0, 0
        block.append(number)
        pictures, held = pictures + 1, held + length
    return Arrival(np.array(part, dtype=np.int64), np.array(block, dtype=np.int64))


class Stream(ABC):
    """Fetches pictures, most cheaply in the order in which they come.

    A picture of another block than the last one's is found by reading on, or, if it lies before,
    by reading its part again from the beginning. Worker processes read for themselves.
    """

    lock: threading.Lock
    block: int
    held: dict[int, Encoded]
    coming: Iterator[tuple[int, Encoded]]
    part: int
    passed: int

    def __init__(self, arrival: Arrival, keys: NDArray[np.int64]) -> None:
        """Args: keys: (N,) what tells the pictures of one part apart; ascending in each."""
        self.arrival, self.keys = arrival, keys
        self._forget()

    @abstractmethod
    def open(self, part: int, key: int) -> Iterator[tuple[int, Encoded]]:
        """Keys and pictures of a part as they come; those before `key` may be left out."""

    def __call__(self, index: int) -> Encoded:
        """Picture `index`. Raises: UserError if it isn't there (any more)."""
        with self.lock:
            block = int(self.arrival.block[index])
            if block != self.block:
                try:
                    self.held = patiently(self._load, block)
                except OSError as error:
                    raise UserError(f"{self}: {error.strerror or error}") from None
                self.block = block
            return self.held[index]

    def _load(self, block: int) -> dict[int, Encoded]:
        """The pictures of a block. Raises: whatever reading raises; the next try begins anew."""
        members = np.flatnonzero(self.arrival.block == block)
        part = int(self.arrival.part[members[0]])
        wanted = {int(self.keys[i]): int(i) for i in members}
        if self.part != part or self.passed >= min(wanted):
            self._rewind()
            self.coming, self.part = iter(self.open(part, min(wanted))), part
        found: dict[int, Encoded] = {}
        self.held, self.block = {}, -1  # so that there is only one
        try:
            for key, picture in self.coming:
                self.passed = key
                if key in wanted:
                    found[wanted[key]] = picture
                    if len(found) == len(wanted):
                        return found
        except BaseException:
            self._rewind()
            raise
        self._rewind()
        raise UserError(
            f"{self}: {len(wanted) - len(found)} pictures are gone; it changed since the start"
        )

    def _forget(self) -> None:
        """As at first: nothing is held, no part is open."""
        self.lock, self.block = threading.Lock(), -1
        self.held = {}
        self._rewind()

    def _rewind(self) -> None:
        """Have the part opened anew next time; the block that is held stays."""
        self.coming, self.part, self.passed = iter(()), -1, -1

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("lock", "coming", "part", "passed", "block", "held"):
            state.pop(name)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()
