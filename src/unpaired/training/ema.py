"""An exponential moving average of weights: smoother translations than the last step's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """After step t: average <- d average + (1 - d) weight, d = min(decay, (1 + t) / (10 + t)).

    The ramp lets the average leave the random start quickly. Buffers (batch-norm statistics) are
    averaged too; integer ones are copied.
    """

    def __init__(self, networks: dict[str, nn.Module], decay: float) -> None:
        """Args: networks: by the name of their attribute on the method; decay: in [0, 1)."""
        self.decay = decay
        self.networks = networks
        self.average = {k: v.detach().clone() for k, v in self._weights().items()}

    def _weights(self) -> dict[str, Tensor]:
        return {
            f"{name}.{key}": value
            for name, network in self.networks.items()
            for key, value in network.state_dict(keep_vars=True).items()
        }

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step number `step` (counted from 1)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        weights = self._weights()
        floats = [k for k, v in self.average.items() if v.is_floating_point()]
        torch._foreach_lerp_(
            [self.average[k] for k in floats], [weights[k].detach() for k in floats], 1 - decay
        )
        for key in self.average.keys() - set(floats):
            self.average[key].copy_(weights[key])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the context the networks carry the averaged weights."""
        weights = self._weights()
        with torch.no_grad():
            own = {k: v.detach().clone() for k, v in weights.items()}
            for key, value in weights.items():
                value.copy_(self.average[key])
        try:
            yield
        finally:
            with torch.no_grad():
                for key, value in weights.items():
                    value.copy_(own[key])

    def restore(self, average: dict[str, Tensor]) -> None:
        """Take the averages of an earlier run; KeyError if one is missing."""
        for key, value in self.average.items():
            value.copy_(average[key])
