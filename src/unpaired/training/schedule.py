"""Learning-rate schedules: the factor on the rate as a function of how far the run is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from unpaired.errors import UserError


@dataclass(frozen=True)
class ScheduleConfig:
    """How the learning rate falls. Shares are of the whole run, however its length is given."""

    kind: Literal["linear", "cosine", "step", "plateau", "constant"] = "linear"
    """linear: constant, then linearly to 0 (sec. 7.1); plateau: reads the validation score."""
    constant: float = 0.5
    """linear and cosine: share of the run at the full rate (the paper: 100 of 200 epochs)."""
    every: float = 0.25
    """step: the rate is multiplied by `factor` after each such share of the run."""
    factor: float = 0.1
    """step and plateau: what the rate is multiplied by."""
    patience: int = 5
    """plateau: evaluations without a better score before the rate falls."""
    warmup: int = 0
    """Steps over which the rate rises linearly from 0, whatever the kind."""

    def __post_init__(self) -> None:
        if not 0 <= self.constant < 1:
            raise UserError(
                f"--schedule.constant is {self.constant}; give a share from 0 to below 1"
            )
        if not 0 < self.every <= 1:
            raise UserError(f"--schedule.every is {self.every}; give a share above 0, up to 1")
        if not 0 < self.factor < 1:
            raise UserError(f"--schedule.factor is {self.factor}; give a number between 0 and 1")
        if self.patience < 1 or self.warmup < 0:
            raise UserError("--schedule.patience must be 1 or more, --schedule.warmup 0 or more")


def factor_at(config: ScheduleConfig, progress: float, step: int) -> float:
    """The factor on the learning rate, in [0, 1], when a share `progress` of the run is done.

    The plateau's factor depends on scores and lives in `Plateau`; here it counts as 1.
    """
    progress = min(max(progress, 0.0), 1.0)
    warm = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    past = max(0.0, progress - config.constant) / (1 - config.constant)  # share of the decay done
    if config.kind == "linear":
        return warm * (1 - past)
    if config.kind == "cosine":
        return warm * 0.5 * (1 + math.cos(math.pi * past))
    if config.kind == "step":
        return warm * config.factor ** math.floor(progress / config.every + 1e-9)
    return warm


@dataclass
class Plateau:
    """Remembers the best score (lower is better) and how long ago it came."""

    best: float = math.inf
    waited: int = 0
    factor: float = 1.0

    def observe(self, score: float, config: ScheduleConfig) -> None:
        """Take one evaluation's score; lower the factor after `patience` without a better one."""
        if score < self.best:
            self.best, self.waited = score, 0
            return
        self.waited += 1
        if config.kind == "plateau" and self.waited >= config.patience:
            self.factor, self.waited = self.factor * config.factor, 0
