"""How much faster than eager float32 are translations? `python -m benchmarks.translate`

Variants take turns in one process; what counts is the ratio to the naive pass of the same round:
float32, NCHW, `nn.InstanceNorm2d`, as in the field's code. Beside it: the share of this machine's
convolution peak, measured in the same run, and how far the pixels are from float32's, on a mosaic
of atlas pages. `--run RUN` takes a trained network, less noisy than an untrained one; OpenVINO
and ONNX Runtime run the very network, exported here. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.naive import with_torch_norms
from benchmarks.tiling import translator
from unpaired import Translator
from unpaired.bench.operations import operations
from unpaired.bench.peak import convolution_peak
from unpaired.data.catalog import worldtiles_view
from unpaired.translation.base import BaseTranslator
from unpaired.translation.exported import ExportedTranslator
from unpaired.translation.exporting.export import write_export
from unpaired.translation.exporting.label import label_of
from unpaired.translation.exporting.sessions import ONNXSession, OpenVINOSession

Pass = Callable[[], Tensor]
PAUSE = 0.3
"""Seconds before each pass, in which the threads of the one before stop spinning."""


def mosaic(size: int) -> np.ndarray:
    """Enlarged atlas pages, (1, size, size, 3) in [-1, 1]."""
    tiles = worldtiles_view("map", "test").repeat(4, 1).repeat(4, 2)
    across = -(-size // tiles.shape[1])
    rows = [np.hstack(list(tiles[row * across :][:across])) for row in range(across)]
    return np.vstack(rows)[None, :size, :size].astype(np.float32) / 127.5 - 1


def translators(given: argparse.Namespace, folder: Path) -> dict[str, BaseTranslator]:
    """Every backend and precision, of one network; the first is torch in float32."""
    made: dict[str, BaseTranslator] = {}
    for precision in ("fp32", "bf16"):
        made[f"torch {precision}"] = (
            Translator.load(given.run, precision=precision)
            if given.run
            else translator(given.filters, given.blocks, precision)
        )
    original = made["torch fp32"].in_torch()
    label = label_of(original.card, "x2y", original.smallest, "benchmark")
    place = folder / "network.onnx"
    write_export(original.method.G, label, place, "onnx")
    for name, session in {
        "OpenVINO fp32": OpenVINOSession(place, "fp32"),
        "OpenVINO bf16": OpenVINOSession(place, "bf16"),
        "ONNX Runtime": ONNXSession(place),
    }.items():
        made[name] = ExportedTranslator(
            label.card,
            label.smallest,
            lambda _, s=session: s,  # type: ignore[misc]
        )
    return made


@torch.inference_mode()
def measure(ours: dict[str, BaseTranslator], size: int, rounds: int) -> None:
    """One size: print a table."""
    pixels = mosaic(size)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    naive = with_torch_norms(ours["torch fp32"].in_torch().method.G)
    passes: dict[str, Pass] = {"naive fp32": lambda: naive(x)}
    for name, translate in ours.items():
        passes[name] = lambda t=translate: torch.from_numpy(  # type: ignore[misc]
            t.units(pixels, "x2y")
        ).permute(0, 3, 1, 2)
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    results = {}
    for number in range(rounds + 1):
        for name, run in passes.items():
            time.sleep(PAUSE)
            began = time.perf_counter()
            results[name] = run()
            if number:
                seconds[name].append(time.perf_counter() - began)
    work, best = operations(lambda: naive(x)), convolution_peak(torch.device("cpu"), torch.bfloat16)
    print(f"{size} x {size}; convolution peak {best / 1e9:.0f} GFLOP/s")
    for name, own in seconds.items():
        ratios = [n / s for n, s in zip(seconds["naive fp32"], own)]
        off = (results[name] - results["naive fp32"]).abs().mean().item() * 127.5
        taken = statistics.median(own)
        print(
            f"  {name:13} {taken:7.3f} s  {statistics.median(ratios):5.2f} x  "
            f"{work / taken / best:4.0%} of the peak  mean error {off:.3f} grey levels",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--run", type=Path, help="a trained run, instead of --filters and --blocks")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours = translators(given, Path(folder))
        for size in given.sizes:
            measure(ours, size, given.rounds)


if __name__ == "__main__":
    main()
