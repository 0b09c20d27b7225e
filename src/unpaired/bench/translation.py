"""Translating one picture after the other, without reading and writing files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unpaired.bench.child import Memory
from unpaired.bench.clock import Spread, repeated, spread
from unpaired.bench.operations import operations
from unpaired.bench.step import CHANNELS, untrained
from unpaired.errors import UserError
from unpaired.training.card import Card
from unpaired.training.config import TrainConfig, to_dict
from unpaired.training.precision import choose_device
from unpaired.translation.base import Backend, BaseTranslator
from unpaired.translation.exporting.export import write_export
from unpaired.translation.exporting.label import label_of
from unpaired.translation.generator import generator_of
from unpaired.translation.loading import load
from unpaired.translation.network import TorchTranslator


@dataclass(frozen=True)
class TranslationFigures:
    """One size and backend, measured."""

    backend: Backend
    computes: str
    """By what and in which numbers: "OpenVINO in bf16"."""
    size: int
    seconds: Spread
    """Of one picture of size x size pixels."""
    operations: int
    memory: int | None
    """Bytes at the peak, over those of a process that has loaded torch; on CUDA, of tensors."""

    @property
    def precision(self) -> str:
        """fp32, bf16 or fp16."""
        return next(word for word in self.computes.split() if word in ("fp32", "bf16", "fp16"))

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


def write_untrained(config: TrainConfig[Any], place: Path) -> None:
    """Export the first direction's network to an .onnx file.

    Raises: UserError if it can't be exported, or a package is missing.
    """
    translator = untrained_translator(config)
    way = translator.directions[0]
    network = generator_of(translator.method, way)
    if network is None:
        raise UserError(f"{config.method} translates by a search, not by one pass of a network")
    label = label_of(translator.card, way, translator.smallest, "untrained")
    write_export(network.cpu().float(), label, place, "onnx")


def measure_translation(
    config: TrainConfig[Any], size: int, budget: float, backend: Backend, exported: Path | None
) -> TranslationFigures:
    """Translate noise for `budget` seconds or a little more, in the first direction.

    Call it through `child.alone` with `ENVIRONMENT`.

    Args: exported: what `write_untrained` wrote; the torch backend needs none.
    Raises: UserError if the network can't translate pictures of this size.
    """
    device = choose_device(config.device)
    memory = Memory(device)
    translator: BaseTranslator
    if exported is None:
        translator = untrained_translator(config)
    else:
        precision = "auto" if backend == "onnx" else config.precision
        translator = load(exported, precision=precision, backend=backend)
    pixels = np.random.default_rng(0).random((1, size, size, 3), np.float32) * 2 - 1
    way = translator.directions[0]
    translator.units(pixels, way)
    seconds = repeated(lambda: translator.units(pixels, way), device, budget, warm_up=0)
    peak = memory.peak()
    original = translator if exported is None else untrained_translator(config)
    work = operations(lambda: original.units(pixels, way))
    return TranslationFigures(backend, translator.computes, size, spread(seconds), work, peak)


ENVIRONMENT = {"THP_MEM_ALLOC_ENABLE": "1"}
"""Large memory pages for torch's tensors, as `unpaired translate` asks for."""
