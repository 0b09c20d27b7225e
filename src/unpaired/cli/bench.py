"""`unpaired bench`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unpaired.cli.outputs import check_writable
from unpaired.errors import UserError
from unpaired.evaluation.valid_json import json_text
from unpaired.options import nearest, parse, take_all
from unpaired.telling import note
from unpaired.whole import write_whole


@dataclass(frozen=True)
class BenchOptions:
    """Measure this machine: training steps, translations, memory, share of the convolution peak.

    Two or three minutes with the defaults, if nothing else computes meanwhile.
    """

    method: str = "cyclegan"
    """Whose steps are taken."""
    size: tuple[int, ...] = ()
    """Sides of the training crops, one or several; default: the preset's, else 64 128 on a CPU and
    256 elsewhere."""
    batch: int | None = None
    """Images of each domain per step; default: the preset's, else 1."""
    filters: int | None = None
    """Filters of the generators' first layer; default: the method's."""
    blocks: int | None = None
    """Residual blocks; default: the method's."""
    preset: str | None = None
    """Named settings, given once or more; `unpaired train --help` lists them."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] | None = None
    """Default: the preset's, else auto: what the device does well."""
    device: str = "auto"
    translate: tuple[int, ...] = (256, 1024)
    """Sides of the pictures that are translated."""
    backend: tuple[Literal["torch", "openvino", "onnx"], ...] = ()
    """What translates; default: torch, and OpenVINO where `unpaired translate` would take it."""
    seconds: float = 5.0
    """For the repetitions of each step and translation; slow ones take longer."""
    json: str | None = None
    """Write the numbers to this file."""

    def __post_init__(self) -> None:
        if any(side < 16 for side in self.translate):
            raise UserError(f"--translate is {min(self.translate)}; give 16 pixels or more")
        if not 0 <= self.seconds < float("inf"):
            raise UserError(f"--seconds is {self.seconds}; give 0 or more")
        if len(set(self.size)) < len(self.size):
            raise UserError("--size names one size twice; give each once")
        check_writable(self.json)


def run(arguments: list[str]) -> int:
    """`unpaired bench`."""
    arguments = list(arguments)
    asked = parse(BenchOptions, arguments, "unpaired bench")
    from unpaired.bench.machine import bench
    from unpaired.bench.tables import show
    from unpaired.methods import METHODS
    from unpaired.training.config import TrainConfig, with_changes
    from unpaired.training.precision import choose_device
    from unpaired.training.presets import apply_preset

    if asked.method not in METHODS:
        raise UserError(
            f'unknown method "{asked.method}"{nearest(asked.method, METHODS)}; known are '
            f"{', '.join(METHODS)}"
        )
    config = TrainConfig(settings=METHODS[asked.method].Config(), method=asked.method)
    presets = take_all(arguments, "--preset")
    for preset in presets:
        config = apply_preset(config, preset)
    changes = {
        "batch": asked.batch,
        "precision": asked.precision,
        "device": asked.device,
        "settings.filters": asked.filters,
        "settings.blocks": asked.blocks,
    }
    for name, value in changes.items():
        if value is None:
            continue
        own = name.removeprefix("settings.")
        if own != name and not hasattr(config.settings, own):
            raise UserError(f"--{own} is nothing that {asked.method} has; drop it")
        config = with_changes(config, {name: value})
    on_cpu = choose_device(asked.device).type == "cpu"
    usual = (config.size,) if presets or not on_cpu else (64, 128)
    found = bench(
        config,
        asked.size or usual,
        translated=asked.translate,
        backends=asked.backend or None,
        budget=asked.seconds,
        say=lambda text: note(f"bench: {text}"),
    )
    show(found, sys.stdout)
    if asked.json:
        write_whole(Path(asked.json), json_text(found.numbers()))
    return 0
