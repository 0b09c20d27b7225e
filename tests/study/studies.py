"""Small studies for tests."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image

from unpaired.study.create import create_study
from unpaired.study.design import PRESETS, Design
from unpaired.study.sources import open_sides

SMALL = {"practice": 2, "scored": 6, "attention": 2, "attention_allowed": 1}
QUICK = {"exposure": 50, "blank_before": 0, "blank_between": 0}
PAPER = {"exposure": 1000, "blank_before": 900, "blank_between": 600}


def write_pictures(folder: Path, count: int, seed: int = 0, smooth: bool = False) -> Path:
    """Noise, or (`smooth`) plain colours, which compress far better."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        pixels = rng.integers(0, 256, (1, 1, 3) if smooth else (24, 32, 3), dtype=np.uint8)
        pixels = np.broadcast_to(pixels, (24, 32, 3)).copy()
        PIL.Image.fromarray(pixels).save(folder / f"{i:02d}.png")
    return folder


def small_design(preset: str = "cyclegan2017", **changed) -> Design:
    sizes = {k: v for k, v in SMALL.items() if preset != "versus" or k == "scored"}
    times = QUICK if PRESETS[preset].exposure else {}
    return replace(PRESETS[preset], **{**sizes, **times, **changed})


def small_study(
    folder: Path, arms=("a", "b"), preset: str = "cyclegan2017", count: int = 14, **changed
) -> Path:
    """A study in `folder / "study"`: noise is real, plain colours are generated."""
    real = write_pictures(folder / "real", count)
    fakes = [
        f"{arm}={write_pictures(folder / arm, count, seed=i + 1, smooth=True)}"
        for i, arm in enumerate(arms)
    ]
    sides = open_sides(fakes, real, ["x2y"])
    create_study(folder / "study", sides, small_design(preset, **changed)).close()
    return folder / "study"
