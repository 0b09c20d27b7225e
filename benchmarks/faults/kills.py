"""Signals at random moments of a run."""

from __future__ import annotations

import signal

from numpy.random import Generator

from benchmarks.faults.runs import STEPS, Bench
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


def sigterm(bench: Bench, rng: Generator) -> str:
    """SIGTERM at a random moment between the first step and the last: exit 143, no step lost."""
    assert bench.undisturbed
    for _ in range(50):
        with bench.run_folder() as run:
            ended = bench.train(run).kill(signal.SIGTERM, rng.uniform(0, bench.seconds))
            if ended.code == 0 or (ended.code == -signal.SIGTERM and not read_metrics(run)):
                continue  # it was done, or had not begun: nothing to lose
            assert ended.code in (143, -signal.SIGTERM), f"exit {ended.code}: {ended.said[-300:]}"
            taken = read_metrics(run)[-1]["step"] if read_metrics(run) else 0
            saved = int(find_checkpoint(run).name[5:])
            assert saved == taken, f"{taken} steps taken, {saved} saved"
            if ended.code != 143:
                assert taken == STEPS, f"the signal's own end at step {taken}"
                continue  # between the last checkpoint and the end of the process
            assert "--resume" in ended.said
            bench.finish(run)
            return "exit 143, no step lost, bit-exact"
    raise AssertionError("never in time")
