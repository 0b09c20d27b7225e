"""The runs that are to be watched, by name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from unpaired.errors import UserError

DEPTH = 3  # of folders below the one that is given
SKIPPED = frozenset({"checkpoints", "samples", "tensorboard", "translations"})


def is_run(folder: Path) -> bool:
    """Whether it is a run folder, if only just begun."""
    return (folder / "config.yaml").is_file() or (folder / "metrics.jsonl").is_file()


def runs_in(places: Iterable[Path]) -> dict[str, Path]:
    """Run folders by the shortest name that tells them apart; folders of runs are searched.

    Raises: UserError for a place that is not there or holds no run.
    """
    found: dict[Path, None] = {}
    for place in places:
        if not place.is_dir():
            raise UserError(f'no run at "{place}"; check the path')
        below = [place] if is_run(place) else _below(place)
        if not below:
            raise UserError(
                f'no run in "{place}" or {DEPTH} folders below it; give the folder that '
                "`unpaired train` wrote, or one that holds such folders"
            )
        found |= dict.fromkeys(folder.resolve() for folder in below)
    return dict(sorted(_named(found).items()))


def _below(place: Path) -> list[Path]:
    found = []
    for at, folders, _ in os.walk(place):
        here = Path(at)
        if is_run(here):
            found.append(here)
        deep = len(here.relative_to(place).parts) >= DEPTH
        hidden = [name for name in folders if name.startswith(".")]
        skipped = set(folders) if deep or is_run(here) else SKIPPED | set(hidden)
        folders[:] = sorted(set(folders) - skipped)
    return found


def _named(folders: Iterable[Path]) -> dict[str, Path]:
    """The last part of each path, and as many more as it takes."""
    named, left, count = {}, list(folders), 1
    while left:
        tails, shared = Counter(folder.parts[-count:] for folder in left), []
        for folder in left:
            tail = folder.parts[-count:]
            if count >= len(folder.parts) - 1:
                named["/".join(folder.parts[1:])] = folder
            elif tails[tail] == 1:
                named["/".join(tail)] = folder
            else:
                shared.append(folder)
        left, count = shared, count + 1
    return named
