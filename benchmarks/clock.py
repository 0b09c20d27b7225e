"""How long does a step of a run take, beside the naive step at the peer's settings?

    python -m benchmarks.clock RUN... --json clock.json

Every run's own config.yaml is timed as it stands, on random images of its size, in turns with the
naive step of a CycleGAN as people have it by default on a small machine: ResNet-6, 32 filters,
identity loss, float32, batch 1. What counts is each run's ratio to it; run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import torch
from accelerate import Accelerator

from benchmarks.naive import NaiveCycleGAN
from benchmarks.step import WARM_UP, Step, timed
from unpaired.methods import METHODS
from unpaired.methods.cyclegan import CycleGAN, CycleGANConfig, CycleLoss
from unpaired.networks import DiscriminatorConfig
from unpaired.training.config import read_yaml
from unpaired.training.trainer import Trainer

NAIVE = "naive"


def naive_step(size: int) -> Step:
    """A step of the peer on one random image of each domain."""
    settings = CycleGANConfig(
        filters=32,
        blocks=6,
        discriminator=DiscriminatorConfig(filters=32),
        loss=CycleLoss(identity=5.0),
    )
    method = CycleGAN(settings, channels_x=3, channels_y=3, size=size)
    naive = NaiveCycleGAN(method.G, method.F, method.D_X, method.D_Y, identity=5.0)
    x, y = (torch.rand(1, 3, size, size) * 2 - 1 for _ in "xy")
    return lambda: naive.step(x, y)


def step_of(run: Path, accelerator: Accelerator) -> tuple[Step, int]:
    """(a step as the run's config.yaml says, on random colour images; the side of its crops)."""
    config = read_yaml(run / "config.yaml")
    method = METHODS[config.method](config.settings, channels_x=3, channels_y=3, size=config.size)
    trainer = Trainer(method, config, accelerator)
    shape = (config.batch, 3, config.size, config.size)
    batch = trainer.on_device({name: torch.rand(shape) * 2 - 1 for name in "xy"})
    return lambda: trainer.step([batch], progress=0.0), config.size


def measure(runs: list[Path], rounds: int) -> dict[str, dict[str, float]]:
    """By run, and "naive": median seconds of a step, and of its ratio to naive's of the round.

    Raises: SystemExit if the runs have several sizes.
    """
    accelerator = Accelerator(cpu=True)
    torch.manual_seed(0)
    found = {str(run): step_of(run, accelerator) for run in runs}
    sizes = {size for _, size in found.values()}
    if len(sizes) != 1:
        raise SystemExit(f"runs of {sorted(sizes)} pixels can't share a clock; give those of one")
    steps = {NAIVE: naive_step(sizes.pop()), **{run: step for run, (step, _) in found.items()}}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(WARM_UP + rounds):
        for name, step in steps.items():
            taken = timed(step, accelerator.device)
            if number >= WARM_UP:
                seconds[name].append(taken)
    return {
        name: {
            "seconds": statistics.median(own),
            "ratio": statistics.median(s / n for s, n in zip(own, seconds[NAIVE])),
        }
        for name, own in seconds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    results = measure(options.runs, options.rounds)
    for name, r in results.items():
        print(f"{r['seconds']:8.3f} s  {r['ratio']:6.3f} of naive  {name}")
    if options.json:
        told = {"threads": torch.get_num_threads(), "rounds": options.rounds, "steps": results}
        options.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
