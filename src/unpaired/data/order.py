"""Which picture comes when, and with which chance: functions of (seed, epoch, index) alone."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Arrival:
    """Pictures that come in a stream, and can be mixed only with those that came with them.

    Attributes:
        part: (N,) which of the streams each picture is in.
        block: (N,) which run of neighbours in it; blocks of a part ascend.
    """

    part: NDArray[np.int64]
    block: NDArray[np.int64]

    def subset(self, kept: Sequence[int]) -> Arrival:
        """Of the pictures at `kept`."""
        return Arrival(self.part[list(kept)], self.block[list(kept)])

    def permutation(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Parts by chance, their blocks as they come, the pictures of a block by chance."""
        turn = rng.permutation(int(self.part.max(initial=-1)) + 1)
        return np.lexsort((rng.random(len(self.part)), self.block, turn[self.part]))


def picture_at(
    seed: int, domain: str, epoch: int, index: int, count: int, arrival: Arrival | None = None
) -> int:
    """The picture shown at place `index` of `epoch` in a domain of `count` pictures.

    A permutation per epoch; a domain smaller than the epoch is gone through again in a new order.
    """
    order = _permutation(seed, domain, epoch, index // count, count, arrival)
    return int(order[index % count])


def chance(seed: int, domain: str, epoch: int, index: int) -> np.random.Generator:
    """The generator for the crop and flips of that picture."""
    return np.random.default_rng([seed, zlib.crc32(f"augment {domain}".encode()), epoch, index])


@lru_cache(maxsize=16)
def _permutation(
    seed: int, domain: str, epoch: int, round_: int, count: int, arrival: Arrival | None
) -> NDArray[np.int64]:
    rng = np.random.default_rng([seed, zlib.crc32(f"order {domain}".encode()), epoch, round_])
    return arrival.permutation(rng) if arrival else rng.permutation(count)


def spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` of `count` indices, evenly spread: chosen by no one."""
    wanted = min(count, wanted)
    return [i * count // wanted for i in range(wanted)]
