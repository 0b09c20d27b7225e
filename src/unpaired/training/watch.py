"""What the evaluations of a run say so far: the best, how long ago it came, when to stop."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from unpaired.training.validation import Finding, Judgement

SEVERITIES = ("notice", "warning")


@dataclass
class Watch:
    """Takes one judgement after the other."""

    best: float | None = None
    """The smallest score so far."""
    best_step: int | None = None
    last: float | None = None
    """The last score; None if it was not finite."""
    last_step: int | None = None
    waited: int = 0
    """Evaluations in a row that brought no better score."""
    stopped: str | None = None
    """Why the run ended before its length."""
    found: dict[tuple[str, str], str] = field(default_factory=dict)
    """Severity of the last evaluation's findings, by (name, direction)."""

    def take(self, step: int, judgement: Judgement) -> bool:
        """Take the judgement of `step`; whether its score is the best so far."""
        finite = math.isfinite(judgement.score)
        self.last, self.last_step = judgement.score if finite else None, step
        better = finite and (self.best is None or judgement.score < self.best)
        if better:
            self.best, self.best_step, self.waited = judgement.score, step, 0
        else:
            self.waited += 1
        return better

    def news(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings that the last evaluation did not have, or had less severely."""
        before, self.found = self.found, {}
        fresh = []
        for finding in findings:
            key = (finding.name, finding.direction)
            self.found[key] = finding.severity
            known = before.get(key)
            if known is None or SEVERITIES.index(finding.severity) > SEVERITIES.index(known):
                fresh.append(finding)
        return fresh

    def decide(self, after: int) -> None:
        """Set `stopped` if `after` evaluations in a row brought no better score; 0: never."""
        self.stopped = None
        if after and self.waited >= after:
            since = "" if self.best_step is None else f" than step {self.best_step}"
            self.stopped = f"{self.waited} evaluations in a row brought no better score{since}"

    def state(self) -> dict[str, Any]:
        """Plain values for state.json; findings.jsonl has the findings."""
        return {part.name: getattr(self, part.name) for part in fields(self)[:-1]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a saved state; KeyError if a value is missing."""
        for part in fields(self)[:-1]:
            setattr(self, part.name, state[part.name])

    def recall(self, found: Iterable[dict[str, Any]]) -> None:
        """Take up the lines of findings.jsonl, which end at the last evaluation."""
        self.found = {
            (line["name"], line["direction"]): line["severity"]
            for line in found
            if line["step"] == self.last_step
        }

    def summary(self, step: int) -> str:
        """Last and best, and which pictures chose, for the end of a run that stands at `step`."""
        last = "not finite" if self.last is None else f"score {self.last:.4f}"
        text = f"last: step {step}, {last}"
        if self.best is None:
            return f"{text}; no best: no score was finite"
        return (
            f"{text}; best: step {self.best_step}, score {self.best:.4f}, chosen by a validation "
            "share split off from training, never by the test split"
        )
