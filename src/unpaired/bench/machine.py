"""All that `unpaired bench` measures."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from unpaired.bench.child import alone
from unpaired.bench.loading import LoadingFigures, measure_loading
from unpaired.bench.outlook import SIZE, Outlook, look_out
from unpaired.bench.peak import convolution_peak
from unpaired.bench.step import StepFigures, demands, measure_step
from unpaired.bench.translation import (
    ENVIRONMENT,
    TranslationFigures,
    measure_translation,
    write_untrained,
)
from unpaired.data import memory
from unpaired.doctor import processor, version
from unpaired.errors import UserError
from unpaired.training.config import TrainConfig, to_dict
from unpaired.training.precision import choose_device, choose_precision
from unpaired.translation.base import Backend
from unpaired.translation.loading import openvino_runs

BUDGET = 5.0  # seconds for the repetitions of each step and translation
TRANSLATED = (256, 1024)


@dataclass(frozen=True)
class Bench:
    """A machine, measured. Every figure holds for this machine, at this moment."""

    machine: dict[str, Any]
    setting: dict[str, Any]
    """The training's configuration; its `size` is that of the first step."""
    precision: str
    """What steps computed in: fp32, bf16 or fp16."""
    peaks: dict[str, float]
    """By precision: operations per second of large convolutions."""
    steps: tuple[StepFigures, ...]
    translations: tuple[TranslationFigures, ...]
    loading: LoadingFigures
    outlook: Outlook

    def numbers(self) -> dict[str, Any]:
        """All of it as plain values, with rates and shares of the peak."""
        return {
            **asdict(self),
            "steps": [self._rated(one) for one in self.steps],
            "translations": [self._rated(one) for one in self.translations],
        }

    def share(self, figures: StepFigures | TranslationFigures) -> float | None:
        """Of the convolution peak in the numbers it computed in; None if that wasn't measured."""
        precision = self.precision if isinstance(figures, StepFigures) else figures.precision
        peak = self.peaks.get(precision)
        return None if peak is None else figures.operations_per_second / peak

    def _rated(self, figures: StepFigures | TranslationFigures) -> dict[str, Any]:
        return {
            **asdict(figures),
            "images_per_second": figures.images_per_second,
            "operations_per_second": figures.operations_per_second,
            "share_of_peak": self.share(figures),
        }


def bench(
    config: TrainConfig[Any],
    sizes: Sequence[int],
    *,
    translated: Sequence[int] = TRANSLATED,
    backends: Sequence[Backend] | None = None,
    budget: float = BUDGET,
    say: Callable[[str], None] | None = None,
) -> Bench:
    """Measure this machine.

    Args:
        config: of the training whose steps are taken; its size is replaced by each of `sizes`.
        translated: sides of the pictures that are translated, by the network for 256 pixels;
            those that can't be are left out.
        backends: what translates; None: as `usual_backends` says.
        budget: seconds for the repetitions of each step and translation; a slow one takes longer.
        say: is told what is measured next; it may take a minute in all.
    Raises: UserError if something doesn't fit the method, or the memory.
    """
    configs = [replace(config, size=size) for size in sizes]
    paper = replace(config, size=SIZE)
    for one in configs:  # what doesn't fit is said before the work
        demands(one)
    work, state = demands(paper)
    tell = say or (lambda _: None)
    device = choose_device(config.device)
    dtype = choose_precision(config.precision, device)
    peaks = {}
    for peak_of in dict.fromkeys((torch.float32, dtype or torch.float32)):
        tell(f"convolution peak in {NAMES[peak_of]}")
        peaks[NAMES[peak_of]] = convolution_peak(device, peak_of, min(budget, 1.0))
    steps = []
    for one in configs:
        tell(f"training step, {one.size} x {one.size}, batch {one.batch}")
        steps.append(alone(measure_step, one, budget, environment={}))
    taken = usual_backends(paper, device) if backends is None else backends
    translations = _translations(paper, translated, taken, budget, tell)
    tell("reading pictures")
    return Bench(
        machine=describe(device),
        setting=to_dict(configs[0]),
        precision=NAMES[dtype or torch.float32],
        peaks=peaks,
        steps=tuple(steps),
        translations=tuple(translations),
        loading=measure_loading(max(sizes)),
        outlook=look_out(work, state, steps, free_memory(device)),
    )


def usual_backends(config: TrainConfig[Any], device: torch.device) -> tuple[Backend, ...]:
    """Torch, and what `unpaired translate --backend auto` would take instead of it here."""
    openvino = device.type == "cpu" and openvino_runs(config.method)
    return ("torch", "openvino") if openvino else ("torch",)


def _translations(
    config: TrainConfig[Any],
    sizes: Sequence[int],
    backends: Sequence[Backend],
    budget: float,
    tell: Callable[[str], None],
) -> list[TranslationFigures]:
    """Of every size by every backend, but those that can't be, which are told."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        exported = Path(scratch) / "untrained.onnx"
        for backend in backends:
            try:
                if backend != "torch" and not exported.exists():
                    tell("exporting the network")
                    alone(write_untrained, config, exported, environment={})
                for size in sizes:
                    tell(f"translating, {size} x {size}, {backend}")
                    file = None if backend == "torch" else exported
                    arguments = (config, size, budget, backend, file)
                    found.append(alone(measure_translation, *arguments, environment=ENVIRONMENT))
            except UserError as error:  # too large for the method or the memory; not installed
                tell(f"no more translations by {backend}: {error}")
    return found


NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return memory.free_memory()


def describe(device: torch.device) -> dict[str, Any]:
    """What the figures belong to."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "device": str(device),
        "name": name,
        "threads": torch.get_num_threads(),
        "memory": free_memory(device),
        "torch": version("torch"),
        "unpaired": version("unpaired"),
    }
