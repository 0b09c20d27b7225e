"""Reading pictures for training: decoding, resizing, cropping, in the training process."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from unpaired.data.batches import Batches
from unpaired.data.datasets import open_dataset
from unpaired.data.images import ImageConfig

PICTURES = 12  # per domain
SIDE = 512


@dataclass(frozen=True)
class LoadingFigures:
    """JPEG files of `side` x `side` pixels, read for training crops of `size` x `size`."""

    side: int
    size: int
    first: float
    """Pictures per second in the first epoch, when files are decoded."""
    cached: float
    """Pictures per second later, as long as the cache holds them."""


def measure_loading(size: int, pictures: int = PICTURES) -> LoadingFigures:
    """Make two folders of JPEG files, and read them twice as `unpaired train` does by default."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch) / name for name in ("x", "y")]
        for folder in folders:
            write_jpegs(folder, pictures, SIDE)
        data = open_dataset(None, *folders, channels_x=3, channels_y=3)
        batches = Batches(data.train_x, data.train_y, ImageConfig(), size=size, batch=1, seed=0)
        rates = []
        for epoch in range(2):
            began = time.perf_counter()
            for step in range(batches.steps_per_epoch):
                batches.at(epoch * batches.steps_per_epoch + step)
            rates.append(2 * batches.steps_per_epoch / (time.perf_counter() - began))
    return LoadingFigures(SIDE, size, *rates)


def write_jpegs(folder: Path, count: int, side: int) -> list[Path]:
    """Pictures with detail at every scale, as photos have: some 2 bits per pixel."""
    rng = np.random.default_rng(side)
    folder.mkdir()
    files = []
    for number in range(count):
        pixels = np.zeros((side, side, 3), np.float32)
        scale = 4
        while scale <= side:
            noise = rng.normal(size=(scale, scale, 3)).astype(np.float32)
            for c in range(3):
                plane = Image.fromarray(noise[:, :, c]).resize((side, side))
                pixels[:, :, c] += np.asarray(plane) * scale**-0.7
            scale *= 2
        low, high = pixels.min(), pixels.max()
        files.append(folder / f"{number:03}.jpg")
        Image.fromarray(((pixels - low) / (high - low) * 255).astype(np.uint8)).save(
            files[-1], quality=92
        )
    return files
