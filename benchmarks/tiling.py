"""A picture far larger than memory, translated exactly: `python -m benchmarks.tiling --side 20000`.

First one pass over 1024 x 1024 at once, then the large picture from TIFF to TIFF in a process of
its own, whose peak memory is read. Prints seconds per million pixels of both, their ratio, the
peak, and how strong gradients across strip borders are against elsewhere. With --run a trained
run translates; with --folder the pictures are kept, with a preview and crops across strip borders.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # as `unpaired translate` does

import numpy as np
import PIL.Image
import tifffile
import torch

from unpaired.data.catalog import worldtiles_view
from unpaired.data.decode import Picture, Pixels
from unpaired.methods.cyclegan import CycleGAN, CycleGANConfig
from unpaired.training.card import Card
from unpaired.training.precision import Precision
from unpaired.translation.network import TorchTranslator
from unpaired.translation.tiling.large import exactly
from unpaired.translation.tiling.sinks import write_tiff
from unpaired.translation.tiling.sources import open_source
from unpaired.translation.translator import Translator

MEGAPIXEL = 1e6
ENLARGED = 125
"""Pixels of a tile's side in the photo; odd, so that its edges favour no rows."""


def translator(
    filters: int, blocks: int, precision: Precision, run: Path | None = None
) -> TorchTranslator:
    """Of the run, or of an untrained CycleGAN: the time doesn't depend on the weights."""
    if run:
        return Translator.load(run, precision=precision).in_torch()
    torch.manual_seed(0)
    config = CycleGANConfig(filters=filters, blocks=blocks)
    method = CycleGAN(config, channels_x=3, channels_y=3, size=256).eval()
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
    return TorchTranslator(method, card, torch.device("cpu"), precision)


def write_photo(path: Path, height: int, width: int, view: str) -> None:
    """A mosaic of enlarged tiles of the Earth under a slowly changing light, made row by row."""
    rng = np.random.default_rng(0)
    tiles = [
        np.asarray(
            PIL.Image.fromarray(tile).resize((ENLARGED, ENLARGED), PIL.Image.Resampling.BICUBIC)
        )
        for tile in worldtiles_view(view, "test")
    ]
    across = -(-width // ENLARGED)

    def pieces() -> Iterator[Picture]:
        for top in range(0, height, ENLARGED):
            row = np.concatenate([tiles[i] for i in rng.integers(len(tiles), size=across)], 1)
            rows = row[: height - top, :width]
            y, x = np.mgrid[top : top + len(rows), :width].astype(np.float32)
            light = 0.9 + 0.1 * np.sin(3 * x / width) * np.cos(4 * y / height)
            yield Picture((rows * light[:, :, None]).astype(np.uint8))

    write_tiff(path, pieces(), height, width)


def whole_pass(translate: TorchTranslator, rounds: int) -> float:
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
    translate = translator(given.filters, given.blocks, given.precision, given.run)
    began = time.perf_counter()
    sweeps: list[float] = []
    borders: list[int] = []

    def told(sweep: int) -> None:
        sweeps.append(time.perf_counter() - began)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        line = f"  sweep {sweep}: {sweeps[-1]:.0f} s, peak {peak:.2f} GiB"
        print(line, file=sys.stderr, flush=True)

    def noted(pieces: Iterator[Picture]) -> Iterator[Picture]:
        for piece in pieces:
            borders.append(len(piece.pixels) + (borders[-1] if borders else 0))
            yield piece

    pieces = noted(exactly(translate, source, memory=given.memory, on_sweep=told))
    write_tiff(given.source.with_name("out.tif"), pieces, source.height, source.width)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(json.dumps({"seconds": seconds, "peak": peak, "sweeps": sweeps, "borders": borders}))


def seams(path: Path, borders: list[int]) -> dict[str, float]:
    """Mean difference of neighbouring rows across strip borders, and elsewhere, in grey levels.

    Transposed convolutions have a pattern of 4 rows, so only rows that lie in it as borders do are
    compared. Rows of one picture differ by some thousandths however it was made: one pass over the
    whole picture is the measure where it fits.
    """
    source, at = open_source(path), set(borders)
    phases = {border % 4 for border in borders}
    across, elsewhere = [], []
    for top in np.linspace(0, max(0, source.height - 600), 16).astype(int).tolist():
        rows = source.rows(top, min(top + 600, source.height)).pixels.astype(np.int16)
        for row, step in enumerate(np.abs(np.diff(rows, axis=0)).mean((1, 2)), top + 1):
            if row % 4 in phases:
                (across if row in at else elsewhere).append(float(step))
    return {"across": statistics.mean(across), "elsewhere": statistics.mean(elsewhere)}


def write_views(folder: Path, borders: list[int]) -> None:
    """preview.png: the picture, halved until it is small; crop_*.png: 512 x 512 around borders."""
    with tifffile.TiffFile(folder / "out.tif") as tiff:
        PIL.Image.fromarray(tiff.series[0].levels[-1].asarray()).save(folder / "preview.png")
    source, before = open_source(folder / "out.tif"), open_source(folder / "in.tif")
    for number, share in enumerate((0.1, 0.4, 0.7)):
        border = borders[int(share * len(borders))]
        top = min(max(0, border - 256), max(0, source.height - 512))
        left = int(share * max(0, source.width - 512))

        def crop(rows: Pixels, left: int = left) -> Pixels:
            return rows[:, left : left + 512]

        both = [crop(s.rows(top, min(top + 512, s.height)).pixels) for s in (before, source)]
        PIL.Image.fromarray(np.hstack(both)).save(folder / f"crop_{number}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=20_000)
    parser.add_argument("--height", type=int, help="if other than the side")
    parser.add_argument("--run", type=Path, help="a trained run, instead of an untrained network")
    parser.add_argument("--view", default="map", help="of the embedded tiles, for the photo")
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--memory", type=float, default=0.0, help="bytes of feature maps to hold")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep pictures, preview and crops here")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.source:
        large(given)
        return
    height, width = given.height or given.side, given.side
    if height * width < 1024 * 1024:
        parser.error("give a picture of a million pixels or more: a small one is a single strip")
    megapixels = height * width / MEGAPIXEL
    translate = translator(given.filters, given.blocks, given.precision, given.run)
    whole = whole_pass(translate, given.rounds)
    print(f"1024 x 1024 at once: {whole:.2f} s per megapixel", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / "in.tif"
        write_photo(source, height, width, given.view)
        print("the photo is written", flush=True)
        command = [sys.executable, "-m", "benchmarks.tiling", *sys.argv[1:], "--source", source]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found = json.loads(told)
        own = found["seconds"] / megapixels
        print(
            f"{height} x {width}, file to file: {found['seconds']:.0f} s, {own:.2f} s per "
            f"megapixel, {own / whole:.2f} times the above; peak memory {found['peak']:.2f} GiB"
        )
        seam = seams(folder / "out.tif", found["borders"])
        print(
            f"rows across strip borders differ by {seam['across']:.3f}, others by "
            f"{seam['elsewhere']:.3f}"
        )
        if given.folder:
            write_views(folder, found["borders"])
    if given.json:
        numbers = {
            "command": ["python", "-m", "benchmarks.tiling", *sys.argv[1:]],
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "torch": torch.__version__,
            "height": height,
            "width": width,
            "whole_seconds_per_megapixel": whole,
            "seconds": found["seconds"],
            "seconds_per_megapixel": own,
            "ratio": own / whole,
            "peak_gib": found["peak"],
            "sweeps_seconds": found["sweeps"],
            "seam": seam,
        }
        given.json.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
