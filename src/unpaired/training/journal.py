"""A run's numbers on their way to the terminal, to metrics.jsonl and to TensorBoard."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from unpaired.training.pace import Pace
from unpaired.training.progress import Reporter, clock
from unpaired.training.tracking import Tracker
from unpaired.training.validation import Finding, Judgement
from unpaired.training.watch import Watch


class Journal:
    """What the loop tells of its steps and evaluations."""

    def __init__(self, reporter: Reporter, tracker: Tracker | None, pace: Pace) -> None:
        """Args: tracker: None: this process only speaks, and writes nothing."""
        self.reporter, self.tracker, self.pace = reporter, tracker, pace
        self.recent: dict[str, list[float]] = {}
        """The losses logged since the last evaluation."""
        self._names: list[str] = []
        self._sums: Tensor | None = None  # of each loss, and of steps

    def add(self, losses: dict[str, Tensor], finite: Tensor) -> None:
        """The losses of a step, which stay on the device until a line is due.

        Args: finite: a boolean scalar on the device; False: the step does not count.
        """
        self._names = list(losses)
        terms = torch.stack([*losses.values(), torch.ones_like(next(iter(losses.values())))])
        terms = terms.masked_fill_(~finite, 0)
        self._sums = terms if self._sums is None else self._sums + terms

    def log(self, step: int, lr: float, skipped: int) -> None:
        """A line of metrics: the means of the losses since the last one, if there are any."""
        *totals, counted = [0.0] if self._sums is None else self._sums.tolist()
        if not counted:
            return
        losses = {name: total / counted for name, total in zip(self._names, totals)}
        self._sums = None
        self.remember(losses)
        if self.tracker is None:
            return
        values = {"epoch": self.pace.epoch, "seconds": self.pace.elapsed}
        values |= {"lr": lr, "images_per_second": self.pace.rate}
        if skipped:
            values["skipped"] = skipped
        self.tracker.write(step, {**values, **losses})

    def remember(self, losses: dict[str, float]) -> None:
        """Keep a line's losses for the next evaluation, also those of an earlier session."""
        for name, value in losses.items():
            self.recent.setdefault(name, []).append(value)

    def show(self, step: int, losses: dict[str, Tensor]) -> None:
        """Where the run is, on the terminal."""
        numbers = {name: float(value) for name, value in losses.items()}
        progress = min(1.0, self.pace.progress(step))
        self.reporter.show(step, progress, numbers, self.pace.rate, self.pace.left(progress))

    def picture(self, step: int, pixels: np.ndarray) -> None:
        """A sample grid, (H, W, 3) uint8."""
        if self.tracker is not None:
            self.tracker.picture(step, pixels)

    def judged(self, step: int, judgement: Judgement, watch: Watch) -> None:
        """What an evaluation gave, after `watch` took its score; of the findings, news are said."""
        self.recent = {}
        news = watch.news(judgement.findings)
        if self.tracker is None:
            return
        numbers = {**judgement.numbers, "validation_score": judgement.score}
        if math.isfinite(judgement.score):
            self.tracker.write(step, {k: v for k, v in numbers.items() if math.isfinite(v)})
        for finding in judgement.findings:
            self.tracker.note(step, finding._asdict())
        self.reporter.say(f"step {step}: {_score(step, judgement, watch)}")
        for finding in news:
            self.reporter.say(f"{finding.severity}: step {step}: {_said(finding)}")

    def end(self, step: int, skipped: int, watch: Watch) -> None:
        """The last lines of a run: why it ended, how long it took, last and best."""
        if watch.stopped:
            self.reporter.say(
                f"stopped at step {step}: {watch.stopped}; a larger --stop-after, or 0, goes on"
            )
        self.reporter.say(
            f"done: {step} steps in {clock(self.pace.elapsed)}"
            + (f", {skipped} not finite and skipped" if skipped else "")
            + (f"; {watch.summary(step)}" if watch.last_step is not None else "")
        )


def _score(step: int, judgement: Judgement, watch: Watch) -> str:
    """The score in words, and how it compares with the ones before."""
    if not math.isfinite(judgement.score):
        return (
            f"warning: the validation score is {judgement.score}, so this step can't be the best; "
            "look at the pictures in samples"
        )
    parts = []
    for name, value in judgement.numbers.items():
        if not name.endswith("_error"):
            error = judgement.numbers.get(f"{name}_error")
            parts.append(f"{name} {value:.4f}" + ("" if error is None else f" ± {error:.4f}"))
    inside = f" ({', '.join(parts)})" if parts else ""
    if watch.best_step == step:
        after = "the best so far"
    else:
        after = f"not better than step {watch.best_step} ({watch.waited} in a row)"
    return f"validation score {judgement.score:.4f}{inside}, {after}"


def _said(finding: Finding) -> str:
    """A finding on one line: what, the number, what to do."""
    name = finding.name.replace("_", " ")
    return f"{name} ({finding.direction}): {finding.evidence}; {finding.advice}"
