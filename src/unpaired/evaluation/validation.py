"""The judge of a run while it trains: how far its translations are from real pictures, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unpaired.data.decode import from_unit
from unpaired.evaluation.cached import CachedFeatures
from unpaired.evaluation.distances import kid_estimate
from unpaired.evaluation.features import EfficientNetLite0, FeatureNet, Pictures, as_rgb
from unpaired.training import run
from unpaired.training.config import TrainConfig
from unpaired.training.validation import Judge, Judgement, Seen

TRANSLATED_AT_ONCE = 16


class KIDJudge:
    """Judges by KID between translations and real pictures, over the validation share.

    The score is the mean over the directions that the method has; each direction's KID comes with
    its standard error (bootstrap over the pictures of both sets).
    """

    def __init__(self, features: FeatureNet | None = None) -> None:
        """Args: features: None: EfficientNet-Lite0, on the device of the translations."""
        self.features = features

    def __call__(self, seen: Seen) -> Judgement:
        """A direction whose translations are not finite has no KID, and the run then no score."""
        sides = {"x": seen.x, "y": seen.y}
        numbers: dict[str, float] = {}
        for direction in seen.directions:
            source, target = direction.split("2")
            parts = torch.split(sides[source], TRANSLATED_AT_ONCE)
            made = torch.cat([seen.translate(part, direction).float() for part in parts])
            kid = error = float("nan")
            if made.isfinite().all():
                net = self._net(made.device)
                real = CachedFeatures(net)(_pictures(sides[target]))
                found = kid_estimate(net(_pictures(made)), real)
                kid, error = found.value, found.error
            numbers |= {f"kid_{direction}": kid, f"kid_{direction}_error": error}
        score = float(np.mean([numbers[f"kid_{direction}"] for direction in seen.directions]))
        return Judgement(score, numbers)

    def _net(self, device: torch.device) -> FeatureNet:
        if self.features is None:
            self.features = EfficientNetLite0(device)
        return self.features


def _pictures(images: Tensor) -> Pictures:
    """(N, C, H, W) in [-1, 1] -> (N, H, W, 3) uint8."""
    return as_rgb(from_unit(images.permute(0, 2, 3, 1).float().cpu().numpy(), "uint8"))


def train(
    config: TrainConfig[Any],
    out: Path,
    *,
    resume: bool = False,
    judge: Judge | None = None,
    quiet: bool = False,
) -> Path:
    """Train until the configured length is reached, or until `config.stop_after` ends it.

    Args:
        out: the run folder; must be new or empty, unless `resume`.
        resume: continue from `out`'s latest checkpoint if it has one, bit for bit.
        judge: scores the validation share at every `config.evaluate_every`; None: `KIDJudge()`.
    Returns: the run folder.
    Raises: UserError, Interrupted, DivergedError as `unpaired.training.run.train`.
    """
    if config.evaluate_every and judge is None:
        judge = KIDJudge()
    return run.train(config, out, resume=resume, judge=judge, quiet=quiet)
