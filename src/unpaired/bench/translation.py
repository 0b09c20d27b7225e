"""Translating one picture after the other, without reading and writing files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from unpaired.bench.child import Memory
from unpaired.bench.clock import Spread, repeated, spread
from unpaired.bench.operations import operations
from unpaired.bench.step import CHANNELS, untrained
from unpaired.training.card import Card
from unpaired.training.config import TrainConfig, to_dict
from unpaired.training.precision import choose_device
from unpaired.translation.network import TorchTranslator


@dataclass(frozen=True)
class TranslationFigures:
    """One size and backend, measured."""

    backend: str
    size: int
    seconds: Spread
    """Of one picture of size x size pixels."""
    operations: int
    memory: int | None
    """Bytes at the peak, over those of a process that has loaded torch; on CUDA, of tensors."""

    @property
    def images_per_second(self) -> float:
        return 1 / self.seconds.median

    @property
    def operations_per_second(self) -> float:
        return self.operations / self.seconds.median


def untrained_translator(config: TrainConfig[Any]) -> TorchTranslator:
    """Of the configured method as it is before its first step: time doesn't depend on weights."""
    method = untrained(config).eval().requires_grad_(False)
    plain = to_dict(config)
    card = Card(
        method=config.method,
        settings=plain["settings"],
        channels_x=CHANNELS[0],
        channels_y=CHANNELS[1],
        dtype_x="uint8",
        dtype_y="uint8",
        size=config.size,
        images=plain["images"],
        data="none",
        directions=method.directions,
        multiple=method.multiple,
        precision=config.precision,
        step=0,
        epoch=0.0,
    )
    return TorchTranslator(method, card, choose_device(config.device), config.precision)


def measure_translation(config: TrainConfig[Any], size: int, budget: float) -> TranslationFigures:
    """Translate noise for `budget` seconds or a little more, in the first direction.

    Call it through `child.alone` with `ENVIRONMENT`.
    """
    memory = Memory(choose_device(config.device))
    translator = untrained_translator(config)
    pixels = np.random.default_rng(0).random((1, size, size, 3), np.float32) * 2 - 1
    way = translator.directions[0]
    work = operations(lambda: translator.units(pixels, way))  # and warmed up
    seconds = repeated(lambda: translator.units(pixels, way), translator.device, budget, warm_up=0)
    return TranslationFigures("torch", size, spread(seconds), work, memory.peak())


ENVIRONMENT = {"THP_MEM_ALLOC_ENABLE": "1"}
"""Large memory pages for torch's tensors, as `unpaired translate` asks for."""
