"""The training step of a method, as `unpaired train` takes it, without the reading of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator

from unpaired.bench.child import Memory
from unpaired.bench.clock import Spread, repeated, spread
from unpaired.bench.operations import step_operations
from unpaired.errors import UserError
from unpaired.methods import METHODS, Method
from unpaired.training.config import TrainConfig
from unpaired.training.misfit import refuse_misfit
from unpaired.training.precision import choose_device
from unpaired.training.randomness import seed_everything
from unpaired.training.trainer import Trainer

CHANNELS = (3, 3)
FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class StepFigures:
    """One size, measured."""

    size: int
    batch: int
    seconds: Spread
    """Of one step."""
    operations: int
    """In one step: two per multiplication of its convolutions and matrix products."""
    memory: int | None
    """Bytes at the peak, over those of a process that has loaded torch; on CUDA, of tensors."""
    state: int
    """Bytes of weights, gradients and optimizer, which don't grow with batch and size."""

    @property
    def images_per_second(self) -> float:
        """Of each domain."""
        return self.batch / self.seconds.median

    @property
    def operations_per_second(self) -> float:
        return self.operations / self.seconds.median


def untrained(config: TrainConfig[Any]) -> Method:
    """The configured method on the CPU, with what its training needs."""
    seed_everything(config.seed)
    method = METHODS[config.method](
        config.settings, channels_x=CHANNELS[0], channels_y=CHANNELS[1], size=config.size
    )
    method.prepare()
    return method


def demands(config: TrainConfig[Any]) -> tuple[int, int]:
    """Operations of one step, and bytes of weights, gradients and Adam's averages; none computed.

    Raises: UserError if the size doesn't fit the networks.
    """
    method = untrained(config)
    if config.size % method.multiple:
        raise UserError(
            f"--size is {config.size}, but this network needs a multiple of {method.multiple}"
        )
    refuse_misfit(method, CHANNELS, config.batch, config.size)
    learned = {
        p for player in method.players for n in method.networks(player) for p in n.parameters()
    }
    state = 4 * FLOAT32 * sum(p.numel() for p in learned)
    return step_operations(method.to("meta"), config.batch, config.size, CHANNELS), state


def measure_step(config: TrainConfig[Any], budget: float) -> StepFigures:
    """Train on noise for `budget` seconds or a little more.

    Call it through `child.alone`, or the memory is not that of the training.
    """
    device = choose_device(config.device)
    memory = Memory(device)
    method = untrained(config)
    trainer = Trainer(method, config, Accelerator(cpu=device.type == "cpu"))
    shape = (config.batch, CHANNELS[0], config.size, config.size)
    batch = trainer.on_device({name: torch.rand(shape) * 2 - 1 for name in ("x", "y")})
    seconds = repeated(lambda: trainer.step([batch], progress=0.0), device, budget)
    peak = memory.peak()
    work, state = demands(config)
    return StepFigures(config.size, config.batch, spread(seconds), work, peak, state)
