"""How much faster is our training step than the same step written as in 2017?

    python -m benchmarks.step                                   # the paper's: 256 pixels, 9 blocks
    python -m benchmarks.step --size 64 --filters 32 --blocks 6
    python -m benchmarks.step --memory

Same networks, same losses (least squares, cycle, identity), same images. The variants take turns in
one process, so that whatever else the machine does meets all of them; what counts is the ratio to
the naive step of the same round. Run it on an idle machine: the seconds mean nothing elsewhere.
`--memory` runs each variant in a process of its own and compares the most memory it had in use
beyond what the imports take: weights, optimizer states, gradients, activations, workspaces.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from benchmarks.naive import NaiveCycleGAN
from unpaired.bench.child import Memory
from unpaired.bench.operations import step_operations
from unpaired.bench.peak import convolution_peak
from unpaired.methods.cyclegan import CycleGAN, CycleGANConfig, CycleLoss
from unpaired.networks import DiscriminatorConfig
from unpaired.training.config import TrainConfig
from unpaired.training.precision import Precision, choose_precision
from unpaired.training.trainer import Trainer

WARM_UP = 2  # steps of each variant that are not counted
Step = Callable[[], object]


def settings_of(options: argparse.Namespace) -> CycleGANConfig:
    """The method's settings."""
    return CycleGANConfig(
        filters=options.filters,
        blocks=options.blocks,
        discriminator=DiscriminatorConfig(filters=options.filters),
        loss=CycleLoss(identity=options.identity),
    )


def variants(
    options: argparse.Namespace, accelerator: Accelerator
) -> dict[str, Callable[[], Step]]:
    """By name, what makes a step of each way to train: same weights, same images."""
    settings, device = settings_of(options), accelerator.device

    def method() -> CycleGAN:
        torch.manual_seed(0)
        return CycleGAN(settings, channels_x=3, channels_y=3, size=options.size)

    def images() -> tuple[Tensor, Tensor]:
        rng = torch.Generator().manual_seed(1)
        shape = (options.batch, 3, options.size, options.size)
        x, y = (torch.rand(shape, generator=rng) * 2 - 1 for _ in "xy")
        return x.to(device), y.to(device)

    def naive() -> Step:
        networks = (n.to(device) for n in method().children())
        peer, (x, y) = NaiveCycleGAN(*networks, identity=options.identity), images()
        return lambda: peer.step(x, y)

    def ours(precision: Precision) -> Step:
        config = TrainConfig(
            settings, steps=1, batch=options.batch, size=options.size, precision=precision
        )
        trainer, (x, y) = Trainer(method(), config, accelerator), images()
        batch = trainer.on_device({"x": x, "y": y})
        return lambda: trainer.step([batch], progress=0.0)

    found = {"naive fp32": naive, "ours fp32": lambda: ours("fp32")}
    if dtype := choose_precision("auto", device):
        found[f"ours {str(dtype).removeprefix('torch.')}"] = lambda: ours("auto")
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
    steps = {name: make() for name, make in variants(options, accelerator).items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(WARM_UP + options.rounds):
        names = list(steps)
        first = number % len(names)
        for name in names[first:] + names[:first]:
            taken = timed(steps[name], accelerator.device)
            if number >= WARM_UP:
                seconds[name].append(taken)
    results = {}
    with torch.device("meta"):
        method = CycleGAN(settings_of(options), channels_x=3, channels_y=3, size=options.size)
    operations = step_operations(method, options.batch, options.size, (3, 3))
    device = accelerator.device
    peaks = {d: convolution_peak(device, d) for d in (torch.float32, torch.bfloat16)}
    for name, own in seconds.items():
        most = peaks[torch.float32 if "fp32" in name else torch.bfloat16]
        ratios = [n / s for n, s in zip(seconds["naive fp32"], own)]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        results[name] = {
            "seconds": statistics.median(own),
            "speedup": middle,
            "speedup_low": low,
            "speedup_high": high,
            "share_of_peak": operations / statistics.median(own) / most,
        }
    return results


def memory_of(name: str, options: argparse.Namespace) -> int:
    """Bytes that three steps of a variant take at the most, in this process, beyond the imports."""
    accelerator = Accelerator()
    make = variants(options, accelerator)[name]
    memory = Memory(accelerator.device)
    step = make()
    for _ in range(3):
        step()
    taken = memory.peak()
    assert taken is not None, "this device doesn't tell its memory"
    return taken


def compare_memory(options: argparse.Namespace) -> None:
    """Print a table."""
    taken: dict[str, float] = {}
    for name in variants(options, Accelerator()):
        command = [sys.executable, "-m", "benchmarks.step", *sys.argv[1:], "--only", name]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        taken[name] = float(out.split()[-1])
        ratio = taken[name] / taken["naive fp32"]
        print(f"{name:14} {taken[name] / 1e9:6.2f} GB {ratio:6.2f} of naive", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--identity", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=12, help="at least 2")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--memory", action="store_true", help="compare memory instead of time")
    parser.add_argument("--only", help="with --memory: print the bytes of this variant")
    options = parser.parse_args()
    if options.only:
        print(memory_of(options.only, options))
        return
    if options.memory:
        compare_memory(options)
        return
    results = measure(options)
    print(f"{'':14} {'s/step':>8} {'x naive':>8}  {'of peak':>7}  (quartiles)")
    for name, r in results.items():
        print(
            f"{name:14} {r['seconds']:8.3f} {r['speedup']:8.2f}  {r['share_of_peak']:7.0%}"
            f"  ({r['speedup_low']:.2f} to {r['speedup_high']:.2f})"
        )
    if options.json:
        setting = {k: v for k, v in vars(options).items() if k != "json"}
        told = {"setting": setting, "threads": torch.get_num_threads(), "results": results}
        options.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
