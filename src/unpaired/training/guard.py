"""Which steps were not finite: counted on the device, read when there is something to tell."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Faults(NamedTuple):
    """Steps that were thrown away because a loss or gradient was not finite."""

    skipped: int
    """In all."""
    in_a_row: int
    """The last ones in a row; never more than the guard's patience."""
    step: int
    """The last of them, counted from 1; 0: none in this session."""
    names: list[str]
    """The losses that were not finite in it, or "a gradient"."""


class Guard:
    """Judges every step without making the host wait for the verdict.

    After `patience` steps in a row that were not finite it lets none pass any more, so that it does
    not matter when the host gets to know: nothing has changed since the last good step.
    """

    def __init__(self, patience: int, device: torch.device) -> None:
        self.patience = patience
        self.skipped = torch.zeros((), dtype=torch.int64, device=device)
        self.in_a_row = torch.zeros_like(self.skipped)
        # by the names of the losses: when each, and last any gradient, was not finite
        self._seen: dict[tuple[str, ...], Tensor] = {}

    def judge(self, step: int, losses: dict[str, Tensor], norms: list[Tensor]) -> Tensor:
        """Whether the step may be taken: a boolean scalar on the device.

        Args: step: counted from 1. losses, norms: scalars; norms are those of the gradients.
        """
        known = torch.stack(list(losses.values())).isfinite()
        gradients = torch.stack(norms).isfinite().all()
        bad = ~torch.cat([known, gradients[None]])
        counts = self.in_a_row < self.patience
        fault = bad.any() & counts
        finite = ~bad.any() & counts
        self.skipped += fault
        self.in_a_row = (self.in_a_row + fault) * ~finite
        names = tuple(losses)
        if names not in self._seen:
            self._seen[names] = bad.new_zeros(len(bad), dtype=torch.int64)
        self._seen[names].masked_fill_(bad & fault, step)
        return finite

    def read(self) -> Faults:
        """What was counted so far; waits for the device."""
        skipped, in_a_row = torch.stack([self.skipped, self.in_a_row]).tolist()
        last, found = 0, list[str]()
        for names, when in self._seen.items() if skipped else ():
            steps = when.tolist()
            if max(steps) > last:
                last = max(steps)
                found = [name for name, step in zip(names, steps) if step == last]
        return Faults(skipped, in_a_row, last, found or ["a gradient"])

    def restore(self, skipped: int, in_a_row: int) -> None:
        """Take up the counts of an earlier session."""
        self.skipped.fill_(skipped)
        self.in_a_row.fill_(in_a_row)
        self._seen = {}
