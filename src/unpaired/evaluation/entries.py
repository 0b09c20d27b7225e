"""Runs as methods: which of them count as one, and their figures over several seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unpaired.errors import UserError
from unpaired.evaluation.estimates import Estimate, student_estimate
from unpaired.evaluation.metrics import METRICS, Scores
from unpaired.evaluation.sides import BACK
from unpaired.methods import KINDS
from unpaired.methods.base import Direction
from unpaired.training.config import CHANGEABLE_ON_RESUME, TrainConfig, differences, read_yaml


@dataclass(frozen=True)
class Entry:
    """One method: a run for each seed, or the runs of its two directions."""

    label: str
    runs: tuple[Path, ...]


@dataclass(frozen=True)
class Sighting:
    """A run in one direction, in the frame of the page: X and Y as the first run has them."""

    run: Path
    own: Direction
    """What the run itself calls the direction."""
    seed: int
    pictures: int
    scores: dict[str, Any]
    """By row and metric, as numbers.json has them."""
    instruments: dict[str, Any]
    """What they were measured with."""
    failures: dict[str, list[tuple[str, float]]]
    """By the figure that chose them: names and values of its worst pictures."""


def grouped(runs: Sequence[Path]) -> list[Entry]:
    """Runs that differ in nothing but seed and direction count as one method.

    Raises: UserError if a folder is no run.
    """
    groups: list[tuple[TrainConfig[Any], list[Path]]] = []
    for run in runs:
        config = read_yaml(run / "config.yaml")
        for known, members in groups:
            if known.method == config.method and not _apart(known, config):
                members.append(run)
                break
        else:
            groups.append((config, [run]))
    labels = [_label(config) for config, _ in groups]
    return [
        Entry(label if labels.count(label) == 1 else f"{label}, {members[0].name}", tuple(members))
        for label, (_, members) in zip(labels, groups)
    ]


def _apart(a: TrainConfig[Any], b: TrainConfig[Any]) -> set[str]:
    lengths = {"steps", "epochs", "minutes"}
    ignored = (CHANGEABLE_ON_RESUME - lengths) | {"seed", "swap", "channels_x", "channels_y"}
    found = set(differences(a, b)) - ignored
    return {name for name in found if a.swap == b.swap or not name.startswith("images.")}


def check_same_data(runs: Sequence[Path]) -> None:
    """Refuse runs on several data sets: their figures don't compare, even if file names agree.

    Raises: UserError that names the first two that differ.
    """
    first = read_yaml(runs[0] / "config.yaml")
    for run in runs[1:]:
        config = read_yaml(run / "config.yaml")
        if _pictures(config) != _pictures(first):
            raise UserError(
                f'"{run}" was trained on other pictures than "{runs[0]}"; compare runs on one data '
                "set"
            )


def _pictures(config: TrainConfig[Any]) -> set[str]:
    """Where a run's pictures are, whichever domain is X."""
    places = (config.data, config.x, config.y)
    return {str(Path(p).resolve()) if Path(p).exists() else p for p in places if p is not None}


def _label(config: TrainConfig[Any]) -> str:
    title = KINDS[config.method].title
    return f"{title}, {config.preset.replace('+', ' + ')}" if config.preset else title


def sightings(entry: Entry, direction: Direction, swapped: bool) -> list[Sighting]:
    """The runs of an entry that go in a direction of the page, one per seed.

    Args: swapped: whether the page's X and Y are those of a run with --swap.
    Raises: UserError if a run was not judged yet.
    """
    found = []
    for run in entry.runs:
        config = read_yaml(run / "config.yaml")
        own = direction if config.swap == swapped else BACK[direction]
        try:
            numbers = json.loads((run / "numbers.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise UserError(f'"{run}" was not evaluated; run: unpaired evaluate {run}') from None
        if own in numbers["directions"]:
            side = numbers["directions"][own]
            found.append(
                Sighting(
                    run,
                    own,
                    numbers["seed"],
                    side["pictures"],
                    side["scores"],
                    numbers["instruments"],
                    side.get("failures", {}),
                )
            )
    return found


def combined(estimates: Sequence[dict[str, float]]) -> Estimate:
    """One figure of several seeds; of one: as it is.

    Their mean with Student's 95% interval, which is wide for few: the chance of training, not
    that of the choice of test pictures, which is the same for all. `error` is their deviation.
    """
    if len(estimates) == 1:
        return Estimate(**estimates[0])
    return student_estimate([estimate["value"] for estimate in estimates])


def combined_scores(seen: Sequence[Sighting], row: str) -> Scores:
    """A row of several seeds."""
    rows = [one.scores.get(row, {}) for one in seen]
    keys = [key for key in METRICS if rows and all(values.get(key) for values in rows)]
    return {key: combined([values[key] for values in rows]) for key in keys}


def compared(entries: Sequence[Entry]) -> dict[str, Any]:
    """For machines: every method's figures by direction, over its seeds."""
    swapped = read_yaml(entries[0].runs[0] / "config.yaml").swap
    found: dict[str, Any] = {}
    for entry in entries:
        for way in BACK:
            if seen := sightings(entry, way, swapped):
                scores = combined_scores(seen, "run")
                found.setdefault(entry.label, {})[way] = {
                    "seeds": [one.seed for one in seen],
                    "scores": {key: asdict(e) for key, e in scores.items() if e is not None},
                }
    return found
