"""An exponential moving average of weights: smoother translations than the last step's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from unpaired.training.sharding import shard_of


class EMA:
    """After step t: average <- d average + (1 - d) weight, d = min(decay, (1 + t) / (10 + t)).

    The ramp lets the average leave the random start quickly. Buffers (batch-norm statistics) are
    averaged too; integer ones are copied.
    """

    def __init__(self, networks: dict[str, nn.Module], decay: float) -> None:
        """Args: networks: by the name of their attribute on the method; decay: in [0, 1)."""
        self.decay = decay
        self.weights = {
            f"{name}.{key}": shard_of(value)  # which shares the network's memory
            for name, network in networks.items()
            for key, value in network.state_dict().items()
        }
        self.average = {key: value.clone() for key, value in self.weights.items()}
        self._floats = [key for key, value in self.weights.items() if value.is_floating_point()]

    @torch.no_grad()
    def update(self, step: int, finite: Tensor | None = None) -> None:
        """Take in the weights after step number `step` (counted from 1).

        Args: finite: a boolean scalar on the weights' device; False: keep the average as it is.
        """
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        average = [self.average[key] for key in self._floats]
        weights = [self.weights[key] for key in self._floats]
        if finite is None:
            torch._foreach_lerp_(average, weights, share)
        else:
            torch._foreach_lerp_(average, weights, [finite * share] * len(average))
        for key in self.weights.keys() - set(self._floats):
            self.average[key].copy_(self.weights[key])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the context the networks carry the averaged weights."""
        own = {key: value.clone() for key, value in self.weights.items()}
        for key, value in self.weights.items():
            value.copy_(self.average[key])
        try:
            yield
        finally:
            for key, value in self.weights.items():
                value.copy_(own[key])

    def restore(self, average: dict[str, Tensor]) -> None:
        """Take the averages of an earlier run; KeyError if one is missing."""
        for key, value in self.average.items():
            value.copy_(average[key])
