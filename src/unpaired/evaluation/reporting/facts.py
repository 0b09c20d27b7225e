"""What a page says about how its run was made."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from unpaired import __version__
from unpaired.data.datasets import is_packed
from unpaired.methods import KINDS, METHODS
from unpaired.training.config import TrainConfig
from unpaired.training.finding import read_progress
from unpaired.training.tracking import last_session
from unpaired.translation.base import BaseTranslator


@dataclass(frozen=True)
class Facts:
    """What the page says about how the run was made."""

    name: str
    method: str
    paired: bool
    imported: bool
    """It was trained elsewhere, nobody knows how long."""
    data: str
    domains: dict[str, str]
    preset: str | None
    precision: str
    size: int
    step: int
    epochs: float
    seconds: float | None
    batch: int
    machine: str
    versions: str
    resume: str


def gather_facts(
    run: Path, checkpoint: Path, translator: BaseTranslator, config: TrainConfig[Any]
) -> Facts:
    """Read what a run says of itself; what is not there is left out of the page."""
    card = translator.card
    environment = last_session(run)
    so_far = read_progress(checkpoint)
    versions = environment.get("versions", {})
    machine = [environment.get("platform"), _times(environment.get("threads"), "thread")]
    return Facts(
        name=run.name,
        method=KINDS[card.method].title,
        paired=KINDS[card.method].paired,
        imported=card.method not in METHODS,
        data=card.data,
        domains=domain_names(config),
        preset=card.preset,
        precision=card.precision,
        size=card.size,
        step=card.step,
        epochs=card.epoch,
        seconds=so_far.get("seconds"),
        batch=config.batch * config.accumulate,
        machine=", ".join(str(part) for part in machine if part),
        versions=f"unpaired {versions.get('unpaired', __version__)}, "
        f"torch {versions.get('torch', 'unknown')}",
        resume=resume_command(run, config),
    )


def resume_command(run: Path, config: TrainConfig[Any]) -> str:
    """The command that trains this run six times as long in all."""
    (unit, amount), *_ = config.length.items()
    total = max(60, round(6 * amount)) if unit == "minutes" else round(6 * amount)
    return f"unpaired train --out {shlex.quote(str(run))} --resume --{unit} {total}"


def domain_names(config: TrainConfig[Any]) -> dict[str, str]:
    """{"x": ..., "y": ...} as people call them: views of a named set, folders, else X and Y."""
    ends = None
    if config.data is None:
        ends = _folder_names(str(config.x), str(config.y))
    elif config.data.startswith("worldtiles:"):
        x, _, y = config.data.partition(":")[2].partition("-")
        ends = x, y
    if ends is None:
        return {"x": "X", "y": "Y"}
    x, y = reversed(ends) if config.swap else ends
    return {"x": x, "y": y}


def _folder_names(x: str, y: str) -> tuple[str, str] | None:
    """The ends of two paths, so long that they differ; None: they are shards or tables."""
    if is_packed(x) or is_packed(y):
        return None
    one, two = Path(x).parts, Path(y).parts
    for depth in range(1, max(len(one), len(two)) + 1):
        ends = "/".join(one[-depth:]), "/".join(two[-depth:])
        if ends[0] != ends[1]:
            return ends
    return None


def reference_runs(data: str) -> list[dict[str, Any]]:
    """Measured runs on the same data to compare with, as shipped with the package.

    Each has "label", "direction", "minutes" and "kid"; and maybe "mae", "steps", "machine" and
    "command".
    """
    path = resources.files("unpaired.evaluation.reporting") / "reference_runs.json"
    if not path.is_file():
        return []
    runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
    return [run for run in runs if run["data"] == data]


def _times(count: Any, noun: str) -> str | None:
    return None if count is None else f"{count} {noun}{'' if count == 1 else 's'}"
