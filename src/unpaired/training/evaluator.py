"""One evaluation of a run: its held-out pictures, shown to the judge."""

from __future__ import annotations

import torch
from torch import Tensor

from unpaired.data.batches import Batches
from unpaired.methods import Method
from unpaired.training.trainer import Trainer
from unpaired.training.validation import Judge, Judgement, Seen


class Evaluator:
    """A judge, and what it is shown."""

    def __init__(self, judge: Judge, held: Batches, trainer: Trainer) -> None:
        """Args: held: the share split off from training."""
        self.judge, self.held, self.trainer = judge, held, trainer
        self._before: list[Tensor] = []

    def __call__(self, method: Method, losses: dict[str, list[float]]) -> Judgement:
        """Judge the weights that will be used.

        Args: method: as `Trainer.translating` gives it; losses: logged since the last evaluation.
        """
        x = self.held.fixed("x", range(len(self.held.x)))
        y = self.held.fixed("y", range(len(self.held.y)))
        loss = getattr(self.trainer.config.settings, "loss", None)
        seen = Seen(
            translate=lambda images, way: method.translate(images.to(self.trainer.device), way),
            x=x,
            y=y,
            directions=method.directions,
            losses=losses,
            step=self.trainer.steps,
            change=self._change(),
            adversarial=getattr(loss, "adversarial", None),
        )
        return self.judge(seen)

    def _change(self) -> float | None:
        """The largest change of a translating weight since the last call; None at the first."""
        before, now = self._before, [p.detach() for p in self.trainer.translating_parameters()]
        changes = [(a - b).abs().max() for a, b in zip(now, before)]
        self._before = [p.clone() for p in now]
        return float(torch.stack(changes).max()) if changes else None
