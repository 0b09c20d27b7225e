"""The judge of a run while it trains: how far its translations are from real pictures, and why."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unpaired.data.conversions import from_unit
from unpaired.data.decode import Pixels
from unpaired.data.order import spread
from unpaired.data.showing import as_rgb
from unpaired.evaluation import diagnosis
from unpaired.evaluation.cached import CachedFeatures
from unpaired.evaluation.distances import kid_estimate
from unpaired.evaluation.estimates import Estimate
from unpaired.evaluation.features import EfficientNetLite0, FeatureNet
from unpaired.methods.base import Direction
from unpaired.training import run
from unpaired.training.config import TrainConfig
from unpaired.training.validation import Finding, Judge, Judgement, Seen

TRANSLATED_AT_ONCE = 16
LOOKED_AT = 50  # pictures by the doctor, at each evaluation


class KIDJudge:
    """Judges by KID between translations and real pictures, over the validation share.

    The score is the mean over the directions that the method has; each direction's KID comes with
    its standard error (bootstrap over the pictures of both sets), and with what `diagnose` finds.
    """

    def __init__(self, features: FeatureNet | None = None) -> None:
        """Args: features: None: EfficientNet-Lite0, on the device of the translations."""
        self.features = features

    def __call__(self, seen: Seen) -> Judgement:
        """A direction whose translations are not finite has no KID, and the run then no score."""
        numbers: dict[str, float] = {}
        findings: list[Finding] = []
        for direction in seen.directions:
            kid, found = self._judged(seen, direction)
            numbers |= {f"kid_{direction}": kid.value, f"kid_{direction}_error": kid.error}
            findings += [
                Finding(f.name, f.severity, f.evidence, f.advice, direction) for f in found
            ]
        score = float(np.mean([numbers[f"kid_{direction}"] for direction in seen.directions]))
        return Judgement(score, numbers, tuple(findings))

    def _judged(self, seen: Seen, direction: Direction) -> tuple[Estimate, list[diagnosis.Finding]]:
        images, others = (seen.x, seen.y) if direction == "x2y" else (seen.y, seen.x)
        parts = torch.split(images, TRANSLATED_AT_ONCE)
        made = torch.cat([seen.translate(part, direction).float() for part in parts])
        if not made.isfinite().all():
            return Estimate(*[math.nan] * 4), []
        if self.features is None:
            self.features = EfficientNetLite0(made.device)
        inputs, translated, real = (_pixels(one) for one in (images, made, others))
        features = self.features(as_rgb(translated))
        real_features = CachedFeatures(self.features)(as_rgb(real))
        some, some_real = spread(len(inputs), LOOKED_AT), spread(len(real), LOOKED_AT)
        sight = diagnosis.Sight(
            inputs[some],
            translated[some],
            real[some_real],
            features[some],
            real_features[some_real],
            losses=_players(seen.losses, direction),
            adversarial=seen.adversarial,
            change=seen.change,
        )
        return kid_estimate(features, real_features), diagnosis.diagnose(sight)


def _players(losses: dict[str, list[float]], direction: Direction) -> dict[str, list[float]]:
    """The losses of the two that play for a direction, as "D" and "G", whatever a method's names.

    D_Y (or the only D) judges what G makes of X, D_X what F makes of Y.
    """
    target = direction[-1]
    names = {
        "D": (f"D_{target.upper()}", "D"),
        "G": (f"gan_{'GF'[target == 'x']}", f"gan_{target}"),
    }
    return {
        player: losses[name]
        for player, candidates in names.items()
        for name in candidates
        if name in losses
    }


def _pixels(images: Tensor) -> Pixels:
    """(N, C, H, W) in [-1, 1] -> (N, H, W, C) uint8."""
    return from_unit(images.permute(0, 2, 3, 1).float().cpu().numpy(), "uint8")


def train(
    config: TrainConfig[Any],
    out: Path | str,
    *,
    resume: bool = False,
    judge: Judge | None = None,
    quiet: bool = False,
) -> Path:
    """Train until the configured length is reached, or until `config.stop_after` ends it.

    Writes a run folder: `config.yaml`, which runs again as it is; `metrics.jsonl` and TensorBoard
    events; `samples/`, grids of fixed pictures; `checkpoints/`, complete states; `latest`, which
    names the last whole one. The same configuration, pictures and machine give the same weights.

    Args:
        config: every setting of the run; `TrainConfig` says which, with units and defaults.
        out: the run folder; must be new or empty, unless `resume`.
        resume: continue from `out`'s latest checkpoint if it has one, bit for bit; of the
            configuration only lengths and what does not change the result may differ.
        judge: scores the validation share at every `config.evaluate_every`; None: `KIDJudge()`.
        quiet: say nothing while it goes; else progress goes to standard error.
    Returns: the run folder.
    Raises: UserError for what the caller can mend, before anything is written where possible;
        Interrupted after Ctrl-C or SIGTERM, with everything saved; DivergedError after
        `config.patience` steps in a row that were not finite, with the last good checkpoint intact;
        LostRankError if another process of the run died or hangs.
    Source: each method's file names its paper; what all share is from Zhu et al. 2017, sec. 4 and
        7.1 (https://arxiv.org/abs/1703.10593).
    """
    if config.evaluate_every and judge is None:
        judge = KIDJudge()
    return run.train(config, Path(out), resume=resume, judge=judge, quiet=quiet)
