"""Small photos with known classes, for the tests of segmenters."""

from pathlib import Path

import numpy as np
from PIL import Image

from unpaired.evaluation.segmenting.classes import Classes
from unpaired.evaluation.segmenting.labels import render

THREE = Classes(
    "three", ("sea", "wood", "sand"), ((0, 0, 200), (0, 120, 0), (240, 220, 120)), ((0, 0, 0),)
)
JSON = (
    '{"classes": [{"name": "sea", "colour": [0, 0, 200]}, {"name": "wood", "colour": [0, 120, 0]},'
    ' {"name": "sand", "colour": [240, 220, 120]}], "ignored": [[0, 0, 0]]}'
)
PHOTO_COLOURS = np.array([[30, 60, 90], [60, 90, 40], [190, 170, 150]])


def make_pairs(count: int, seed: int, side: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Photos (N, side, side, 3) of noisy patches in three muted colours, and their class maps."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 3, (count, 4, 4), dtype=np.uint8)
    maps = coarse.repeat(side // 4, 1).repeat(side // 4, 2)
    noise = rng.normal(0, 6, (count, side, side, 3))
    photos = np.clip(PHOTO_COLOURS[maps] + noise, 0, 255).astype(np.uint8)
    return photos, maps


def write_pairs(folder: Path, train: int = 8, test: int = 3, side: int = 32) -> Path:
    """trainA and testA of label images, trainB and testB of their photos."""
    for seed, (split, count) in enumerate({"train": train, "test": test}.items()):
        photos, maps = make_pairs(count, seed, side)
        for name, pictures in (("A", render(maps, THREE)), ("B", photos)):
            (folder / f"{split}{name}").mkdir(parents=True)
            for i, picture in enumerate(pictures):
                Image.fromarray(picture).save(folder / f"{split}{name}" / f"{i:02d}.png")
    (folder / "three.json").write_text(JSON, encoding="utf-8")
    return folder
