"""States of runs as pages that renew themselves."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from unpaired.board.state import State, state_of
from unpaired.evaluation.reporting.curves import (
    compared_curves,
    loss_curves,
    pace_curves,
    validation_curve,
)
from unpaired.evaluation.reporting.pages import template
from unpaired.training.progress import clock
from unpaired.training.tracking import summed_up

SHOWN = 4  # of the last sample grids
DRAWN = 24  # runs in one figure: as many as there are kinds of lines

WORDS = {
    "starting": "starting",
    "training": "training",
    "finished": "finished",
    "imported": "imported: weights from elsewhere",
    "gone": "no process is training here",
    "silent": "silent",
}


class Pages:
    """Makes the pages; a figure is drawn anew only when its run has a new line.

    One is drawn at a time: matplotlib's settings are the whole process's.
    """

    def __init__(self, every: float) -> None:
        """Args: every: seconds between two looks."""
        self.every = every
        self._drawn: dict[tuple[str, ...], tuple[Any, str | None]] = {}
        self._drawing = threading.Lock()

    def overview(self, runs: Mapping[str, Path], nonce: str) -> str:
        """All runs in a table, and their validation scores in one figure.

        Args: nonce: what the page's script is allowed by.
        """
        states = {name: state_of(folder) for name, folder in runs.items()}
        # what can't be read in a path stands for itself no longer in the figure
        scores = {_label(name): [_scores(state)] for name, state in list(states.items())[:DRAWN]}
        figure = self._figure(
            ("overview",),
            scores,
            lambda: compared_curves(scores, "Validation score: should fall"),
        )
        rows = [
            {"name": name, "link": link_of(state.folder), **_facts(state)}
            for name, state in states.items()
        ]
        return self._page("overview.html.j2", nonce, rows=rows, figure=figure)

    def run(self, name: str, folder: Path, nonce: str, *, alone: bool) -> str:
        """Everything of one run. Args: alone: whether it is the only one."""
        state = state_of(folder)
        lines, key = state.lines, str(folder)
        mark = lines[-1] if lines else None
        best = state.best[0] if state.best else None
        return self._page(
            "run.html.j2",
            nonce,
            run=name,
            alone=alone,
            facts=_facts(state),
            state=state,
            title=_title(state.config),
            losses=self._figure((key, "losses"), mark, lambda: loss_curves(lines)),
            pace=self._figure((key, "pace"), mark, lambda: pace_curves(lines)),
            validation=self._figure(
                (key, "validation"), mark, lambda: validation_curve(lines, best, state.findings)
            ),
            findings=summed_up(state.findings),
            samples=[
                {"step": int(grid[5:-4]), "address": f"{link_of(folder)}/samples/{grid}"}
                for grid in reversed(state.samples[-SHOWN:])
            ],
            resume=f"unpaired train --out {quote(str(folder))} --resume",
        )

    def _page(self, file: str, nonce: str, **values: Any) -> str:
        return template(file, "unpaired.board").render(every=self.every, nonce=nonce, **values)

    def _figure(
        self, key: tuple[str, ...], mark: Any, draw: Callable[[], str | None]
    ) -> str | None:
        """What was drawn last, if `mark` is what it was then."""
        with self._drawing:
            if key not in self._drawn or self._drawn[key][0] != mark:
                self._drawn[key] = mark, draw()
            return self._drawn[key][1]


def link_of(folder: Path) -> str:
    """The address of a run's page, which stays the same when other runs come."""
    return f"/run/{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"


def _label(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)[-60:]


def _scores(state: State) -> list[tuple[int, float, float]]:
    return [
        (int(line["step"]), line["validation_score"], 0.0)
        for line in state.lines
        if "validation_score" in line
    ]


def _facts(state: State) -> dict[str, Any]:
    """A run's state in short, as people read it."""
    return {
        "kind": state.kind,
        "word": WORDS[state.kind],
        "step": f"{state.step:,}",
        "percent": None if state.progress is None else f"{state.progress:.0%}",
        "progress": state.progress,
        "left": None if state.left is None else clock(state.left),
        "seconds": None if state.seconds is None else clock(state.seconds),
        "rate": None if state.rate is None else f"{state.rate:.1f}",
        "age": None if state.age is None else ago(state.age),
        "best": state.best and f"{state.best[1]:.4f} at step {state.best[0]:,}",
        "last": state.last and f"{state.last[1]:.4f} at step {state.last[0]:,}",
    }


def _title(config: Mapping[str, Any]) -> str:
    """Method, data and size, of what the configuration says."""
    data = config.get("data") or " and ".join(str(config[k]) for k in "xy" if config.get(k))
    parts = [config.get("method"), data, config.get("preset") and f"preset {config['preset']}"]
    if isinstance(config.get("size"), int):
        parts.append(f"{config['size']} × {config['size']} pixels")
    return ", ".join(str(part) for part in parts if part)


def ago(seconds: float) -> str:
    """Roughly, in words: 40 seconds, 12 minutes, 3 hours, 2 days."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}s"
    return f"{int(seconds)} second{'' if int(seconds) == 1 else 's'}"
