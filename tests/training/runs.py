"""Tiny pictures and tiny runs for the tests of training."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from unpaired.methods.cyclegan import CycleGANConfig, CycleLoss
from unpaired.networks import DiscriminatorConfig
from unpaired.training.card import _digest
from unpaired.training.checkpoint import _fingerprint
from unpaired.training.config import OptimizerConfig, TrainConfig


def write_pictures(folder: Path, count: int, seed: int, size: int = 20) -> Path:
    """`count` small random PNGs in a new folder."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for i in range(count):
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((size, size)).save(folder / f"{i:02d}.png")
    return folder


def write_dataset(folder: Path, train: int = 7, test: int = 2) -> Path:
    """trainA, trainB, testA, testB of small random PNGs."""
    for seed, (name, count) in enumerate(
        {"trainA": train, "trainB": train - 2, "testA": test, "testB": test}.items()
    ):
        write_pictures(folder / name, count, seed)
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


def resealed(card: dict) -> str:
    """The text of a checkpoint.json whose content was changed, as if it had been written so."""
    tree = {key: value for key, value in card.items() if key != "sha256"}
    return json.dumps({**tree, "sha256": _digest(tree)})


def seal(checkpoint: Path) -> None:
    """Make the card vouch for the files as they are now, so that only their content is at fault."""
    path = checkpoint / "checkpoint.json"
    files = {p.name: _fingerprint(p) for p in checkpoint.iterdir() if p != path}
    path.write_text(resealed({**json.loads(path.read_text()), "files": files}))


def in_process(script: str, *arguments: object) -> subprocess.Popen:
    """Python code in a process of its own, which can be killed."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
