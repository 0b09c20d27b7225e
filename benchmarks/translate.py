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

Pass = Callable[[], Tensor]


def peak() -> float:
    """Operations per second of a large bf16 convolution (channels-last): the best of some."""
    conv = torch.nn.Conv2d(256, 256, 3, padding=1).to(
        dtype=torch.bfloat16, memory_format=torch.channels_last
    )
    x = torch.randn(1, 256, 128, 128).to(torch.bfloat16, memory_format=torch.channels_last)
    seconds = []
    for _ in range(12):
        began = time.perf_counter()
        conv(x)
        seconds.append(time.perf_counter() - began)
    return 2 * 256 * 256 * 9 * 128 * 128 / min(seconds)


def operations(network: torch.nn.Module, x: Tensor) -> float:
    """Of the convolutions in one pass, two per multiplication."""
    total = 0.0

    def count(module: torch.nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal total
        transposed = isinstance(module, torch.nn.ConvTranspose2d)
        pixels = given[0] if transposed else out
        places = pixels.shape[0] * pixels.shape[2] * pixels.shape[3]
        total += 2 * module.weight.numel() * places  # type: ignore[union-attr,operator]

    hooks = [
        m.register_forward_hook(count)  # type: ignore[arg-type]
        for m in network.modules()
        if isinstance(m, (torch.nn.Conv2d, torch.nn.ConvTranspose2d))
    ]
    network(x)
    for hook in hooks:
        hook.remove()
    return total


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
    work, best = operations(naive, x), peak()
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
