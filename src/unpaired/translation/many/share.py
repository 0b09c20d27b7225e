"""Which part of the work falls to one of several processes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

from unpaired.errors import UserError
from unpaired.translation.naming import family


@dataclass(frozen=True)
class Share:
    """The part of the work that falls to one of `ranks` processes, counted from 0."""

    rank: int = 0
    ranks: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.ranks:
            raise UserError(
                f"RANK is {self.rank} of WORLD_SIZE {self.ranks}; ranks count from 0 up to "
                f"{self.ranks - 1}"
            )

    def has(self, name: str) -> bool:
        """Whether a picture falls to this rank: by a hash of its name without suffixes.

        So shares need no list of all, don't change when pictures are added, and pictures whose
        outputs might get one name fall to one rank, which sees to it.
        """
        if self.ranks == 1:
            return True
        digest = hashlib.blake2b(os.fsencode(family(name)), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.ranks == self.rank


def share_of(environment: Mapping[str, str]) -> Share | None:
    """The share that `torchrun` and its kind give by RANK and WORLD_SIZE; None without them.

    Raises: UserError if they are not numbers, or don't fit.
    """
    if "RANK" not in environment and "WORLD_SIZE" not in environment:
        return None
    try:
        return Share(int(environment["RANK"]), int(environment["WORLD_SIZE"]))
    except (KeyError, ValueError):
        raise UserError(
            "RANK and WORLD_SIZE must both be set, to whole numbers; torchrun does that"
        ) from None
