"""Named settings that were measured: what they change, what they cost, what they gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unpaired.errors import UserError
from unpaired.training.config import TrainConfig, with_changes


@dataclass(frozen=True)
class Preset:
    """Changes to the defaults, by dotted name, and a sentence for people."""

    about: str
    changes: dict[str, Any]


PRESETS: dict[str, Preset] = {
    "paper": Preset(
        about="Zhu et al. 2017 to the letter: 256 pixels, batch 1, float32, 100 + 100 epochs, "
        "LSGAN, lambda 10, history of 50, no identity term, last weights.",
        changes={
            "size": 256,
            "batch": 1,
            "epochs": 200,
            "precision": "fp32",
            "ema": 0.0,
            "history": 50,
        },
    ),
    "small": Preset(
        about="small pictures and few minutes: 64 pixels, batch 4, a generator without norms that "
        "paints on its input, resize convolutions, a 34-pixel discriminator, averaged weights.",
        changes={
            "size": 64,
            "images.load": 64,
            "batch": 4,
            "ema": 0.995,
            "history": 0,
            "optimizer.lr": 5e-4,
            "settings.filters": 32,
            "settings.blocks": 4,
            "settings.generator.norm": "none",
            "settings.generator.init": "kaiming",
            "settings.generator.upsample": "resize",
            "settings.generator.downsamplings": 1,
            "settings.generator.input_skip": True,
            "settings.discriminator.filters": 32,
            "settings.discriminator.layers": 2,
            "settings.discriminator.norm": "none",
            "settings.discriminator.init": "kaiming",
            "settings.loss.cycle": 5.0,
        },
    ),
}


def apply_preset(config: TrainConfig[Any], name: str) -> TrainConfig[Any]:
    """The configuration with the preset's changes.

    Raises: UserError if there is no such preset.
    """
    if name not in PRESETS:
        raise UserError(f'unknown preset "{name}"; known are {", ".join(PRESETS)}')
    return with_changes(config, {**PRESETS[name].changes, "preset": name})
