"""Named settings: what they change, and where their measured results stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unpaired.data.getting import folder_of
from unpaired.errors import UserError
from unpaired.training.config import TrainConfig, with_changes
from unpaired.training.dataset_presets import DATASET_PRESETS


@dataclass(frozen=True)
class Preset:
    """Changes to the defaults, by dotted name, and a sentence for people."""

    about: str
    changes: dict[str, Any] = field(default_factory=dict)
    """Of the run."""
    settings: dict[str, dict[str, Any]] | None = None
    """Of the method, by its name; other methods can't take the preset. None: all can, unchanged."""


PAINTER = {
    "filters": 32,
    "blocks": 4,
    "generator.norm": "none",
    "generator.init": "kaiming",
    "generator.upsample": "resize",
    "generator.downsamplings": 1,
    "generator.input_skip": True,
    "discriminator.filters": 32,
    "discriminator.layers": 2,
    "discriminator.norm": "none",
    "discriminator.init": "kaiming",
}
"""Networks for small pictures: a generator without norms that paints on its input."""

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
        settings={"cyclegan": {}},
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
        },
        settings={
            "cyclegan": {**PAINTER, "loss.cycle": 5.0},
            "bigan": PAINTER,
            "cogan": {"filters": 16, "norm": "batch", "upsample": "resize", "search.starts": 1},
            "cut": PAINTER,
            "fastcut": PAINTER,
            "uvcgan": {
                "filters": 16,
                "levels": 3,
                "transformer.features": 96,
                "transformer.heads": 4,
                "transformer.blocks": 4,
                "discriminator.filters": 32,
                "discriminator.layers": 2,
            },
            "feature_gan": PAINTER,
            "pix2pix": {"generator.kind": "resnet", "generator.dropout": False, **PAINTER},
            "simgan": PAINTER,
        },
    ),
    "quick": Preset(
        about="a good picture in minutes, for domains that look different: the networks of small "
        "on a blank canvas, batch 2, averaged weights instead of a falling rate, so that a run may "
        "be stopped at any time.",
        changes={
            "size": 64,
            "images.load": 64,
            "batch": 2,
            "ema": 0.999,
            "history": 0,
            "schedule.kind": "constant",  # at the paper's rate: 5e-4 collapsed after four minutes
        },
        settings={"cyclegan": {**PAINTER, "generator.input_skip": False, "loss.cycle": 5.0}},
    ),
    "uvcgan2": Preset(
        about="UVCGANv2 as its paper trains on AFHQ: 256 pixels, a million steps of batch 1, rate "
        "1e-4 held constant, averaged weights, no history. Not run here.",
        changes={
            "size": 256,
            "images.load": 256,
            "batch": 1,
            "steps": 1_000_000,
            "ema": 0.9999,
            "history": 0,
            "optimizer.lr": 1e-4,
            "optimizer.beta2": 0.99,
            "schedule.kind": "constant",
        },
        settings={"uvcgan": {}},
    ),
    "cycle-alone": Preset(
        about="ablation of Zhu et al. 2017, Table 4: no adversarial term.",
        settings={"cyclegan": {"loss.gan": 0.0}},
    ),
    "gan-alone": Preset(
        about="ablation, Table 4: no cycle term.",
        settings={"cyclegan": {"loss.cycle_x": 0.0, "loss.cycle_y": 0.0}},
    ),
    "gan-forward-cycle": Preset(
        about="ablation, Table 4: |F(G(x)) - x| without |G(F(y)) - y|.",
        settings={"cyclegan": {"loss.cycle_y": 0.0}},
    ),
    "gan-backward-cycle": Preset(
        about="ablation, Table 4: |G(F(y)) - y| without |F(G(x)) - x|.",
        settings={"cyclegan": {"loss.cycle_x": 0.0}},
    ),
    "painting-to-photo": Preset(
        about="identity-mapping loss of Zhu et al. 2017, sec. 5.2, weight 0.5 lambda: keeps the "
        "colours of paintings.",
        settings={"cyclegan": {"loss.identity": 5.0}},
    ),
    **{name: Preset(*preset) for name, preset in DATASET_PRESETS.items()},
}


def apply_preset(config: TrainConfig[Any], name: str) -> TrainConfig[Any]:
    """The configuration with the preset's changes; presets applied one after the other add up.

    Raises: UserError if there is no such preset, or the method can't take it.
    """
    if name not in PRESETS:
        raise UserError(f'unknown preset "{name}"; known are {", ".join(PRESETS)}')
    preset = PRESETS[name]
    if preset.settings is not None and config.method not in preset.settings:
        raise UserError(
            f"--preset {name} is for {', '.join(preset.settings)}, not for {config.method}; drop it"
        )
    own = (preset.settings or {}).get(config.method, {})
    names = [*(config.preset or "").split("+"), name] if config.preset else [name]
    return with_changes(
        config,
        {**preset.changes, **{f"settings.{k}": v for k, v in own.items()}}
        | {"preset": "+".join(names)},
    )


def preset_hint(config: TrainConfig[Any]) -> str | None:
    """A line that names the preset of a data set, for a run that has none and could take it."""
    data = config.data or ""
    name = data.removesuffix("-pairs")
    if name not in DATASET_PRESETS or config.preset or not (Path(data).is_dir() or folder_of(data)):
        return None
    if config.method not in DATASET_PRESETS[name][2]:
        return None
    return f"hint: --preset {name} has the settings that the paper trains this set with"
