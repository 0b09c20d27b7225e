"""How fast do training pictures come? `python -m benchmarks.loading`

Our loader against the field's: Pillow and torchvision transforms (resize to 286, random crop of
256, flip, tensor, normalise) in a DataLoader, both without worker processes, on JPEGs made here.
The variants take turns in one process; what counts is the ratio to the plain loader of the same
round. What our thread makes ahead is inside its own time, until it has stopped. `--step` trains
(CycleGAN, `--preset small`) and tells what share of a step is spent waiting for data, made between
the steps or ahead in a thread; only on both cores does it mean something.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from unpaired.bench.loading import write_jpegs
from unpaired.data.batches import Batches
from unpaired.data.domains import Domain
from unpaired.data.files import file_domain
from unpaired.data.images import ImageConfig
from unpaired.methods import METHODS
from unpaired.training.config import TrainConfig
from unpaired.training.presets import apply_preset
from unpaired.training.trainer import Trainer

Batch = dict[str, Tensor]


class Plain(Dataset[Batch]):
    """Pairs of pictures as CycleGAN's released code loads them."""

    def __init__(self, files: list[Path], size: int) -> None:
        load = round(size * 286 / 256)
        self.files = files
        self.prepare = transforms.Compose(
            [
                transforms.Resize((load, load), transforms.InterpolationMode.BICUBIC),
                transforms.RandomCrop(size),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Batch:
        other = int(torch.randint(len(self.files), ()))
        return {"x": self._read(self.files[index]), "y": self._read(self.files[other])}

    def _read(self, file: Path) -> Tensor:
        made: Tensor = self.prepare(Image.open(file).convert("RGB"))
        return made


def plain(files: list[Path], size: int) -> Iterator[Batch]:
    """Without end."""
    loader = DataLoader(Plain(files, size), shuffle=True)
    while True:
        yield from loader


def ours(domain: Domain, size: int, images: ImageConfig, cache: float) -> Batches:
    return Batches(domain, domain, images, size=size, batch=1, seed=0, cache_share=cache)


def rates(
    files: list[Path], size: int, rounds: int, images: ImageConfig
) -> dict[str, tuple[float, float, float, float]]:
    """By variant: images/s; median and quartiles of the ratio to the plain loader."""
    domain = file_domain(files, files[0].parent, 3, "uint8")
    uncached, cached = (ours(domain, size, images, share) for share in (0.0, 0.25))
    for step in range(2 * cached.steps_per_epoch):
        cached.at(step)
    loaders: dict[str, tuple[Callable[[], Iterator[Batch]], int]] = {
        "plain": (lambda: plain(files, size), 4 * len(files)),
        "ours, uncached": (lambda: uncached.from_step(0), 4 * len(files)),
        "ours, cached": (lambda: cached.from_step(0), 20 * len(files)),
    }
    found: dict[str, list[float]] = {name: [] for name in loaders}
    for number in range(rounds + 1):  # the first warms up
        for name, (make, count) in loaders.items():
            began = time.perf_counter()
            stream = make()
            for _ in range(count):
                next(stream)
            stream.close()  # type: ignore[attr-defined]
            if number:
                found[name].append(2 * count / (time.perf_counter() - began))
    results = {}
    for name, own in found.items():
        ratios = [a / b for a, b in zip(own, found["plain"])]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        results[name] = (statistics.median(own), middle, low, high)
    return results


def memory(files: list[Path], size: int) -> tuple[float, float, float]:
    """MB: what a cache of 800 pictures counts, its pixels, and what the process really grew by."""
    domain = file_domain(files, files[0].parent, 3, "uint8")
    domain = domain.subset([i % len(files) for i in range(400)])
    batches = ours(domain, size, ImageConfig(), 0.25)
    budget = batches.sources[0].budget.left
    before = psutil.Process().memory_info().rss
    for step in range(batches.steps_per_epoch):
        batches.at(step)
    grown = psutil.Process().memory_info().rss - before
    kept = [p for s in batches.sources for pictures in s.cache.values() for p in pictures.values()]
    counted = budget - batches.sources[0].budget.left
    return counted / 1e6, sum(p.nbytes for p in kept) / 1e6, grown / 1e6


def between(batches: Batches) -> Iterator[Batch]:
    """Made when they are asked for."""
    for step in itertools.count():
        yield batches.at(step)


def waiting(files: list[Path], steps: int, rounds: int) -> None:
    """Print how long a step takes, and what share of it passes until its data are there."""
    config = TrainConfig(METHODS["cyclegan"].Config(), steps=10**6, data="none")
    config = apply_preset(config, "small")
    domain = file_domain(files, files[0].parent, 3, "uint8")

    def batches(cache: float, seed: int) -> Batches:
        return Batches(
            domain,
            domain,
            config.images,
            size=config.size,
            batch=config.batch,
            seed=seed,
            cache_share=cache,
        )

    method = METHODS["cyclegan"](config.settings, channels_x=3, channels_y=3, size=config.size)
    trainer = Trainer(method, config, Accelerator())
    full = batches(0.25, 0)
    for step in range(2 * full.steps_per_epoch):
        full.at(step)
    variants: dict[str, Callable[[], Iterator[Batch]]] = {
        "uncached, between the steps": lambda: between(batches(0.0, 1)),
        "uncached, ahead": lambda: batches(0.0, 1).from_step(0),
        "cached, between the steps": lambda: between(full),
        "cached, ahead": lambda: full.from_step(0),
    }
    trainer.step([trainer.on_device(full.at(0))], 0.0)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, make in variants.items():
            stream, waited = make(), 0.0
            trainer.step([trainer.on_device(next(stream))], 0.0)  # the thread starts
            began = time.perf_counter()
            for _ in range(steps):
                asked = time.perf_counter()
                batch = next(stream)
                waited += time.perf_counter() - asked
                trainer.step([trainer.on_device(batch)], 0.0)
            whole = time.perf_counter() - began
            spent[name].append((whole / steps, waited / whole))
            stream.close()  # type: ignore[attr-defined]
    for name, own in spent.items():
        step = statistics.median(s for s, _ in own)
        share = statistics.median(w for _, w in own)
        print(f"  {name:28} {step * 1e3:6.0f} ms/step, {share:6.1%} waiting")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 1024], help="of the JPEGs")
    parser.add_argument("--size", type=int, default=256, help="of the crops")
    parser.add_argument("--count", type=int, default=24, help="of JPEGs per side")
    parser.add_argument("--oversize", type=float, default=1.75, help="as --images.oversize")
    parser.add_argument("--rounds", type=int, default=5, help="at least 2")
    parser.add_argument("--step", action="store_true", help="measure steps instead")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for side in given.sides:
            files = write_jpegs(Path(scratch) / str(side), given.count, side)
            size = sum(file.stat().st_size for file in files) / len(files)
            print(f"JPEGs of {side} x {side}, {size / 1e3:.0f} KB:")
            if given.step:
                waiting(files, steps=12, rounds=given.rounds)
                continue
            for name, (rate, middle, low, high) in rates(
                files, given.size, given.rounds, ImageConfig(oversize=given.oversize)
            ).items():
                print(f"  {name:16} {rate:7.0f} images/s {middle:6.2f} x ({low:.2f} to {high:.2f})")
            if side == given.sides[0]:
                counted, pixels, grown = memory(files, given.size)
                print(
                    f"  cache: {counted:.1f} MB counted for {pixels:.1f} MB of pixels; "
                    f"the process grew by {grown:.1f} MB"
                )


if __name__ == "__main__":
    main()
