"""NaN in a loss, in a gradient, in an input; the clock set back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.random import Generator

from benchmarks.faults.runs import STEPS, Bench
from unpaired.methods.cyclegan import CycleGAN
from unpaired.training.checkpoint import read_state
from unpaired.training.config import write_yaml
from unpaired.training.finding import find_checkpoint
from unpaired.training.player import Player
from unpaired.training.tracking import read_metrics
from unpaired.training.trainer import Trainer


def nan(bench: Bench, rng: Generator, trial: int) -> str:
    """One NaN or infinity in step n: nothing that is learnt changes in it, and the run goes on."""
    where = ("a loss", "a gradient", "an input")[trial % 3]
    step = int(rng.integers(2, STEPS + 1))
    bad = [float("nan"), float("inf"), -float("inf")][int(rng.integers(3))]
    config = bench.folder / "nan.yaml"
    write_yaml(bench.settings(checkpoint_every=1, keep=STEPS), config)
    with bench.run_folder() as run:
        ended = bench.train(run, broken=_breaker(where, step, bad, rng), config=config).wait()
        assert ended.code == 0, ended.said[-500:]
        assert f"step {step}:" in ended.said, ended.said
        states = [
            read_state(run / "checkpoints" / f"step_{n:08d}")[1] for n in (step - 1, step, STEPS)
        ]
        before, after, last = (state.tensors for state in states)
        for file in ("weights", "ema", "optimizers", "history"):
            for name, value in before[file].items():
                assert torch.equal(value, after[file][name]), f"{file}: {name} changed"
        for name, value in last["weights"].items():
            assert value.isfinite().all(), name
        assert states[-1].values["skipped"] == 1
    return f"{where}: thrown away, nothing else changed"


def _breaker(where: str, step: int, bad: float, rng: Generator) -> Callable[[], None]:
    seed = int(rng.integers(1 << 30))

    def broken() -> None:
        steps = [0]
        real = Trainer.step

        def counted(self: Trainer, batches: list[Any], progress: float) -> Any:
            steps[0] = self.steps + 1
            if where == "an input" and steps[0] == step:
                for batch in batches:
                    spoil(batch["x"], seed, bad)
            return real(self, batches, progress)

        Trainer.step = counted  # type: ignore[method-assign]
        if where == "a loss":
            losses = CycleGAN.generator_losses

            def spoiled(self: CycleGAN, *args: Any, **made: Any) -> Any:
                terms = losses(self, *args, **made)
                name = list(terms)[seed % len(terms)]
                return {**terms, name: terms[name] * bad} if steps[0] == step else terms

            CycleGAN.generator_losses = spoiled  # type: ignore[method-assign]
        if where == "a gradient":
            take = Player.take

            def taken(self: Player, gradients: list[torch.Tensor]) -> None:
                if steps[0] == step and self.name == "generators":
                    spoil(gradients[seed % len(gradients)], seed, bad)
                take(self, gradients)

            Player.take = taken  # type: ignore[method-assign]

    return broken


def spoil(values: torch.Tensor, seed: int, bad: float) -> None:
    """Replace one of them."""
    values[np.unravel_index(seed % values.numel(), values.shape)] = bad


def clock_set_back(bench: Bench, rng: Generator) -> str:
    """The clock jumps by up to a day, mostly back, at random moments: a run by --minutes ends in
    time, and the seconds of its metrics only grow."""
    config = bench.folder / "minutes.yaml"
    write_yaml(bench.settings(steps=None, minutes=0.02), config)
    seed = int(rng.integers(1 << 30))

    def broken() -> None:
        jumps, off, real = np.random.default_rng(seed), [0.0], time.time

        def wrong() -> float:
            if jumps.random() < 0.2:
                off[0] += jumps.uniform(-86400, 3600)
            return real() + off[0]

        time.time = wrong

    with bench.run_folder() as run:
        ended = bench.train(run, broken=broken, config=config).wait()
        assert ended.code == 0, ended.said[-500:]
        seconds = [line["seconds"] for line in read_metrics(run)]
        assert seconds == sorted(seconds)
        assert seconds, "no step in time"
        trained = read_state_seconds(run)
        assert 0 < trained <= ended.seconds, f"{trained} of {ended.seconds} seconds"
        assert ended.seconds >= 1.2, f"ended after {ended.seconds} seconds"
    return "ended in time, seconds only grow"


def read_state_seconds(run: Any) -> float:
    """Seconds of training, as the last checkpoint has them."""
    return float(read_state(find_checkpoint(run))[1].values["run"]["seconds"])
