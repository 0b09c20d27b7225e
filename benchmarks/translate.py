"""How much faster than eager float32 are translations? `python -m benchmarks.translate`

Variants take turns in one process; what counts is the ratio to the naive pass of the same round:
float32, NCHW, `nn.InstanceNorm2d`, as in the field's code. Beside it: the share of this machine's
convolution peak, measured in the same run, and how far the pixels are from float32's (of an
untrained network, which is noisier than a trained one). Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.naive import with_torch_norms
from benchmarks.tiling import translator
from unpaired.bench.operations import operations
from unpaired.bench.peak import convolution_peak

Pass = Callable[[], Tensor]


@torch.inference_mode()
def measure(size: int, filters: int, blocks: int, rounds: int) -> None:
    """One size: print a table."""
    pixels = np.random.default_rng(0).random((1, size, size, 3), np.float32) * 2 - 1
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    ours = {name: translator(filters, blocks, name) for name in ("fp32", "bf16")}
    naive = with_torch_norms(translator(filters, blocks, "fp32").method.G)
    passes: dict[str, Pass] = {"naive fp32": lambda: naive(x)}
    for name, translate in ours.items():
        passes[f"ours {name}"] = lambda t=translate: torch.from_numpy(  # type: ignore[misc]
            t.units(pixels, "x2y")
        ).permute(0, 3, 1, 2)
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    results = {}
    for number in range(rounds + 1):
        for name, run in passes.items():
            began = time.perf_counter()
            results[name] = run()
            if number:
                seconds[name].append(time.perf_counter() - began)
    work = operations(lambda: naive(x))
    best = convolution_peak(torch.device("cpu"), torch.bfloat16)
    print(f"{size} x {size}; convolution peak {best / 1e9:.0f} GFLOP/s")
    for name, own in seconds.items():
        ratios = [n / s for n, s in zip(seconds["naive fp32"], own)]
        off = (results[name] - results["naive fp32"]).abs().mean().item() * 127.5
        taken = statistics.median(own)
        print(
            f"  {name:12} {taken:7.3f} s  {statistics.median(ratios):5.2f} x  "
            f"{work / taken / best:4.0%} of the peak  mean error {off:.3f} grey levels"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    for size in given.sizes:
        measure(size, given.filters, given.blocks, given.rounds)


if __name__ == "__main__":
    main()
