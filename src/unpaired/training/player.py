"""One player's parameters and how they step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import Adam

from unpaired.methods import Method
from unpaired.training.config import OptimizerConfig
from unpaired.training.sharding import is_spread, shard_of

MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class Player:
    """The parameters that a player changes, with Adam.

    Attributes:
        parameters: by their name on the method, each once (tied ones too).
        held: what of them this process holds and steps on: all, unless they are sharded.
        rate: the learning rate before any schedule.
    """

    def __init__(self, method: Method, name: str, config: OptimizerConfig) -> None:
        own = {id(p) for network in method.networks(name) for p in network.parameters()}
        self.name = name
        self.parameters: dict[str, nn.Parameter] = {
            n: p for n, p in method.named_parameters() if id(p) in own and p.requires_grad
        }
        self.sharded = any(is_spread(p) for p in self.parameters.values())
        self.held = {
            n: nn.Parameter(shard_of(p)) if is_spread(p) else p for n, p in self.parameters.items()
        }
        first = name == method.players[0]
        self.rate = config.lr if first else config.lr_discriminators or config.lr
        self.optimizer = Adam(
            self.held.values(),
            lr=self.rate,
            betas=(config.beta1, config.beta2),
            fused=True,  # one call for all parameters, and the only Adam that can skip by itself
        )

    def take(self, gradients: list[Tensor]) -> None:
        """Lay the gradients where the optimizer looks for them."""
        for parameter, gradient in zip(self.held.values(), gradients):
            parameter.grad = _laid_out_as(parameter, gradient)

    def norm(self) -> Tensor:
        """The norm of all held gradients together, a scalar."""
        gradients = [p.grad for p in self.held.values() if p.grad is not None]
        return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))

    def step(self, factor: float, clip: float, norm: Tensor, skip: Tensor) -> None:
        """Step on the gradients, and let go of them.

        Args:
            factor: on the learning rate.
            clip: largest norm of the gradients; 0: no limit.
            norm: their norm, a scalar.
            skip: float scalar on the device; 1: weights, moments and their counts stay as they are.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * factor
        if clip:
            torch.nn.utils.clip_grads_with_norm_(self.held.values(), clip, norm)
        self.optimizer.found_inf = skip  # type: ignore[attr-defined]  # as GradScaler passes it
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Tensor]:
        """The moments, by "player/parameter/moment"; empty before the first step."""
        return {
            f"{self.name}/{name}/{key}": value
            for name, parameter in self.held.items()
            for key, value in self.optimizer.state.get(parameter, {}).items()
        }

    def restore(self, moments: dict[str, Tensor], *, stepped: bool) -> None:
        """Take up the moments of an earlier run; KeyError if one is missing."""
        saved = {
            i: {key: _laid_out_as(p, moments[f"{self.name}/{name}/{key}"]) for key in MOMENTS}
            for i, (name, p) in enumerate(self.held.items() if stepped else ())
        }
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": saved})


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """`value` in the parameter's memory layout: fused Adam pairs elements by place in memory."""
    if value.shape != parameter.shape or value.stride() == parameter.stride():
        return value
    return torch.empty_like(parameter).copy_(value)
