"""Which output belongs to which input, by names alone."""

from __future__ import annotations

import os
from collections.abc import Sequence

from unpaired.data.decode import IMAGE_SUFFIXES


def targets(names: Sequence[str]) -> list[str]:
    """For every input's name a place of its own, without the suffix of a format.

    `a.jpg` gives `a`; where several would get one place, they keep their whole names, and one that
    even then is not alone gets its suffix again. Places are compared without case, as some file
    systems do. Only names of one `family` can get in each other's way.
    """
    seen, several = set[str](), set[str]()
    for name in names:
        short = bare(name).casefold()
        (several if short in seen else seen).add(short)
    taken, found = set[str](), []
    for name in names:
        place = bare(name)
        if place.casefold() in several:
            place = name
        while place.casefold() in taken:
            place += os.path.splitext(name)[1]  # noqa: PTH122 - a path takes ten times as long
        taken.add(place.casefold())
        found.append(place)
    return found


def bare(name: str) -> str:
    """Without its last suffix."""
    return os.path.splitext(name)[0]  # noqa: PTH122


def family(name: str) -> str:
    """What all names that `targets` might have to tell apart have in common: `a` of `a.jpg.PNG`."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    while suffix.lower() in IMAGE_SUFFIXES:
        name = stem
        stem, suffix = os.path.splitext(name)  # noqa: PTH122
    return name.casefold()
