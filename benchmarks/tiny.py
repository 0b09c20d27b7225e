"""The smallest pictures and the smallest CycleGAN, for runs of seconds; the tests train it too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from unpaired.methods.cyclegan import CycleGANConfig, CycleLoss
from unpaired.networks import DiscriminatorConfig
from unpaired.training.config import OptimizerConfig, TrainConfig


def write_pictures(folder: Path, count: int, seed: int, size: int = 20) -> Path:
    """`count` small random PNGs in a new folder."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for i in range(count):
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((size, size)).save(folder / f"{i:02d}.png")
    return folder


def tiny_config(data: Path, **changes: object) -> TrainConfig[CycleGANConfig]:
    """The smallest CycleGAN that has everything on: identity, history, EMA, a schedule."""
    settings = CycleGANConfig(
        filters=2,
        blocks=1,
        discriminator=DiscriminatorConfig(filters=2, layers=2),
        loss=CycleLoss(identity=5.0),
    )
    fields: dict[str, object] = {
        "settings": settings,
        "data": str(data),
        "steps": 12,
        "size": 16,
        "seed": 3,
        "precision": "fp32",
        "ema": 0.9,
        "history": 3,
        "log_every": 1,
        "checkpoint_every": 4,
        "optimizer": OptimizerConfig(lr=1e-3),
    }
    return TrainConfig(**{**fields, **changes})  # type: ignore[arg-type]
