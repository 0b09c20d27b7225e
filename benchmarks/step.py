"""How much faster is our training step than the same step written as in 2017?

    python -m benchmarks.step                                   # the paper's: 256 pixels, 9 blocks
    python -m benchmarks.step --size 64 --batch 4 --filters 32 --blocks 6

Same networks, same losses (least squares, cycle, identity), same images. The variants take turns in
one process, so that whatever else the machine does meets all of them; what counts is the ratio to
the naive step of the same round. Run it on an idle machine: the seconds mean nothing elsewhere.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator

from benchmarks.naive import NaiveCycleGAN
from unpaired.methods.cyclegan import CycleGAN, CycleGANConfig, CycleLoss
from unpaired.networks import DiscriminatorConfig
from unpaired.training.config import TrainConfig
from unpaired.training.precision import choose_precision
from unpaired.training.trainer import Trainer

WARM_UP = 2  # steps of each variant that are not counted
Step = Callable[[], object]


def variants(options: argparse.Namespace, accelerator: Accelerator) -> dict[str, Step]:
    """One step of each way to train, from the same weights on the same images."""
    torch.manual_seed(0)
    settings = CycleGANConfig(
        filters=options.filters,
        blocks=options.blocks,
        discriminator=DiscriminatorConfig(filters=options.filters),
        loss=CycleLoss(identity=options.identity),
    )
    method = CycleGAN(settings, channels_x=3, channels_y=3, size=options.size)
    device = accelerator.device
    shape = (options.batch, 3, options.size, options.size)
    x, y = (torch.rand(shape, device=device) * 2 - 1 for _ in "xy")

    networks = (n.to(device) for n in copy.deepcopy(method).children())
    naive = NaiveCycleGAN(*networks, identity=options.identity)
    found: dict[str, Step] = {"naive fp32": lambda: naive.step(x, y)}

    last = {k: v.to(memory_format=torch.channels_last) for k, v in (("x", x), ("y", y))}
    precisions = ["fp32"] if choose_precision("auto", device) is None else ["fp32", "auto"]
    for precision in precisions:
        config = TrainConfig(
            settings, steps=1, batch=options.batch, size=options.size, precision=precision
        )
        trainer = Trainer(copy.deepcopy(method), config, accelerator)
        name = "fp32" if trainer.dtype is None else str(trainer.dtype).removeprefix("torch.")
        found[f"ours {name}"] = lambda trainer=trainer: trainer.step([last], progress=0.0)
    return found


def timed(step: Step, device: torch.device) -> float:
    """Seconds of one step."""
    began = time.perf_counter()
    step()
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter() - began


def measure(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """By variant: median seconds, median ratio to naive (higher is faster), quartiles of it."""
    accelerator = Accelerator()
    steps = variants(options, accelerator)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(WARM_UP + options.rounds):
        names = list(steps)
        first = number % len(names)
        for name in names[first:] + names[:first]:
            taken = timed(steps[name], accelerator.device)
            if number >= WARM_UP:
                seconds[name].append(taken)
    results = {}
    for name, own in seconds.items():
        ratios = [n / s for n, s in zip(seconds["naive fp32"], own)]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        results[name] = {
            "seconds": statistics.median(own),
            "speedup": middle,
            "speedup_low": low,
            "speedup_high": high,
        }
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--identity", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=12, help="at least 2")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    results = measure(options)
    print(f"{'':14} {'s/step':>8} {'x naive':>8}  (quartiles)")
    for name, r in results.items():
        print(
            f"{name:14} {r['seconds']:8.3f} {r['speedup']:8.2f}"
            f"  ({r['speedup_low']:.2f} to {r['speedup_high']:.2f})"
        )
    if options.json:
        setting = {k: v for k, v in vars(options).items() if k != "json"}
        told = {"setting": setting, "threads": torch.get_num_threads(), "results": results}
        options.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
