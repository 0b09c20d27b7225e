"""A picture far larger than memory, translated exactly: `python -m benchmarks.tiling --side 20000`.

First one pass over 1024 x 1024 at once, then the large picture from TIFF to TIFF in a process of
its own, whose peak memory is read. Prints seconds per million pixels of both, their ratio, the
peak, and how strong gradients across strip borders are against elsewhere.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
import torch

from unpaired.data.decode import Picture
from unpaired.methods.cyclegan import CycleGAN, CycleGANConfig
from unpaired.training.checkpoint import Card
from unpaired.translation.tiling.large import exactly
from unpaired.translation.tiling.sinks import write_tiff
from unpaired.translation.tiling.sources import open_source
from unpaired.translation.translator import Translator

MEGAPIXEL = 1e6


def translator(filters: int, blocks: int, precision: str) -> Translator:
    """Of an untrained CycleGAN: the time doesn't depend on the weights."""
    torch.manual_seed(0)
    method = CycleGAN(
        CycleGANConfig(filters=filters, blocks=blocks), channels_x=3, channels_y=3, size=256
    ).eval()
    for parameter in method.parameters():
        parameter.data.mul_(3 if parameter.ndim > 1 else 1)
    card = Card(
        method="cyclegan",
        settings={},
        channels_x=3,
        channels_y=3,
        dtype_x="uint8",
        dtype_y="uint8",
        size=256,
        images={},
        data="none",
        directions=("x2y", "y2x"),
        multiple=4,
        precision=precision,
        step=0,
        epoch=0.0,
    )
    return Translator(method, card, torch.device("cpu"), precision)  # type: ignore[arg-type]


def write_photo(path: Path, side: int) -> None:
    """Waves of light, edges and grain: made row by row, never held."""
    rng = np.random.default_rng(0)
    waves = rng.normal(size=(3, 4, 3))

    def pieces():  # type: ignore[no-untyped-def]
        for top in range(0, side, 512):
            y, x = np.mgrid[top : min(side, top + 512), :side] / np.float32(97)
            rows = np.stack([sum(np.sin(a * y + b * x + c) for a, b, c in w) for w in waves], 2)
            rows = 128 + 35 * rows + 25 * np.sign(np.sin(7 * x) * np.sin(5 * y))[:, :, None]
            grain = rng.normal(0, 8, rows.shape[:2])[:, :, None]
            yield Picture(np.clip(rows + grain, 0, 255).astype(np.uint8))

    write_tiff(path, pieces(), side, side)


def whole_pass(translate: Translator, rounds: int) -> float:
    """Median seconds per megapixel of 1024 x 1024 at once."""
    pixels = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
    taken = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        translate.pictures([Picture(pixels)])
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:]) / (1024 * 1024 / MEGAPIXEL)


def large(given: argparse.Namespace) -> None:
    """In a process of its own: one picture, file to file."""
    source = open_source(given.source)
    began = time.perf_counter()

    def told(sweep: int) -> None:
        print(f"  sweep {sweep}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)

    translate = translator(given.filters, given.blocks, given.precision)
    pieces = exactly(translate, source, memory=given.memory, on_sweep=told)
    write_tiff(given.source.with_name("out.tif"), pieces, source.height, source.width)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{time.perf_counter() - began} {peak}")


def seams(path: Path) -> tuple[float, float]:
    """Mean gradient across every 8th row border (where strips may meet), and across all others."""
    at_borders, elsewhere = [], []
    source = open_source(path)
    for top in np.linspace(0, source.height - 600, 8).astype(int) // 8 * 8:
        rows = source.rows(int(top), int(top) + 513).pixels.astype(np.int16)
        steps = np.abs(np.diff(rows, axis=0)).mean((1, 2))
        at_borders += steps[7::8].tolist()
        elsewhere += np.delete(steps, np.s_[7::8]).tolist()
    return float(np.mean(at_borders)), float(np.mean(elsewhere))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=20_000)
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--memory", type=float, default=0.0, help="bytes of feature maps to hold")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep both pictures here")
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.source:
        large(given)
        return
    per_megapixel = whole_pass(
        translator(given.filters, given.blocks, given.precision), given.rounds
    )
    print(f"1024 x 1024 at once: {per_megapixel:.2f} s per megapixel", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / "in.tif"
        write_photo(source, given.side)
        command = [sys.executable, "-m", "benchmarks.tiling", *sys.argv[1:], "--source", source]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        seconds, peak = map(float, told.split())
        own = seconds / (given.side**2 / MEGAPIXEL)
        print(
            f"{given.side} x {given.side}, file to file: {seconds:.0f} s, {own:.2f} s per "
            f"megapixel, {own / per_megapixel:.2f} times the above; peak memory {peak:.2f} GiB"
        )
        border, elsewhere = seams(folder / "out.tif")
        print(f"gradient across strip borders {border:.3f}, elsewhere {elsewhere:.3f}")
        with tifffile.TiffFile(folder / "out.tif") as tiff:
            print("levels:", [level.shape for level in tiff.series[0].levels])


if __name__ == "__main__":
    main()
