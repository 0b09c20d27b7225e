"""Signals at random moments of a run."""

from __future__ import annotations

import signal

from numpy.random import Generator

from benchmarks.faults.runs import STEPS, Bench, has_stepped
from unpaired.training.finding import find_checkpoint
from unpaired.training.tracking import read_metrics


def sigkill(bench: Bench, rng: Generator) -> str:
    """SIGKILL at a random moment, then once more with some luck; it ends as if undisturbed."""
    assert bench.undisturbed
    with bench.run_folder() as run:
        for _ in range(20):
            ended = bench.train(run).kill(signal.SIGKILL, rng.uniform(0, bench.seconds))
            if ended.code == -signal.SIGKILL:
                break
            assert ended.code == 0, ended.said[-500:]
            bench.same(run)  # it was done before the signal came
        else:
            raise AssertionError("never killed in time")
        lines = read_metrics(run)
        bench.finish(run)
    return "killed while starting, bit-exact" if not lines else "killed while stepping, bit-exact"


def sigkill_while_stepping(bench: Bench, rng: Generator) -> str:
    """SIGKILL within a random step: however slow the machine is at starting."""
    assert bench.undisturbed
    with bench.run_folder() as run:
        step, delay = int(rng.integers(1, STEPS)), rng.uniform(0, 0.05)
        ended = bench.train(run).kill(signal.SIGKILL, delay, lambda: has_stepped(run, step))
        done = ended.code == 0
        assert done or ended.code == -signal.SIGKILL, ended.said[-500:]
        bench.finish(run)
    return "had just ended" if done else "bit-exact"


def sigterm(bench: Bench, rng: Generator) -> str:
    """SIGTERM within a random step: exit 143, no step lost, bit-exact after the resume."""
    assert bench.undisturbed
    with bench.run_folder() as run:
        step, delay = int(rng.integers(1, STEPS)), rng.uniform(0, 0.05)
        ended = bench.train(run).kill(signal.SIGTERM, delay, lambda: has_stepped(run, step))
        taken = int(read_metrics(run)[-1]["step"])
        saved = int(find_checkpoint(run).name[5:])
        assert saved == taken >= step, f"{taken} steps taken, {saved} saved"
        if taken < STEPS:
            assert ended.code == 143, f"exit {ended.code}: {ended.said[-300:]}"
            assert "--resume" in ended.said
        bench.finish(run)
    return "exit 143, no step lost, bit-exact" if ended.code == 143 else "had just ended"
