"""Which picture comes when, and with which chance: functions of (seed, epoch, index) alone."""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def picture_at(seed: int, domain: str, epoch: int, index: int, count: int) -> int:
    """The picture shown at place `index` of `epoch` in a domain of `count` pictures.

    A permutation per epoch; a domain smaller than the epoch is gone through again in a new order.
    """
    return int(_permutation(seed, domain, epoch, index // count, count)[index % count])


def chance(seed: int, domain: str, epoch: int, index: int) -> np.random.Generator:
    """The generator for the crop and flips of that picture."""
    return np.random.default_rng([seed, zlib.crc32(f"augment {domain}".encode()), epoch, index])


@lru_cache(maxsize=16)
def _permutation(seed: int, domain: str, epoch: int, round_: int, count: int) -> NDArray[np.int64]:
    rng = np.random.default_rng([seed, zlib.crc32(f"order {domain}".encode()), epoch, round_])
    return rng.permutation(count)


def spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` of `count` indices, evenly spread: chosen by no one."""
    wanted = min(count, wanted)
    return [i * count // wanted for i in range(wanted)]
