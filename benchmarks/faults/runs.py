"""A tiny run, through the real command line, in child processes that can be broken and killed.

Children are forked from a process that has imported everything and computed nothing, so that a
trial takes as long as its run and not as long as importing torch.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image

from benchmarks.tiny import tiny_config, write_pictures
from unpaired import cli
from unpaired.training.checkpoint import TENSOR_FILES, read_state
from unpaired.training.config import TrainConfig, write_yaml
from unpaired.training.finding import checkpoints_of, find_checkpoint
from unpaired.training.tracking import read_metrics

torch.set_num_threads(1)
for module in (  # so that no child need import them
    "torch._dynamo",
    "torch.utils.tensorboard",
    "unpaired.cli.train",
    "unpaired.cli.translate",
    "unpaired.evaluation.validation",
    "unpaired.training.run",
    "unpaired.translation.folder",
    "unpaired.translation.tiling.large",
):
    import_module(module)
STEPS, EVERY = 24, 3


class Ended(NamedTuple):
    """How a child ended."""

    code: int
    """As `subprocess` gives it: negative for a signal."""
    said: str
    seconds: float

    def one_line(self) -> str:
        """The error of a user's mistake: one line, exit code 2, no traceback."""
        errors = [s for s in self.said.splitlines() if s.startswith("unpaired: error:")]
        assert self.code == 2, f"exit code {self.code}: {self.said[-300:]}"
        assert len(errors) == 1, f"{len(errors)} error lines: {self.said[-300:]}"
        assert "Traceback" not in self.said, self.said[-600:]
        return errors[0]


@dataclass(frozen=True)
class Child:
    """A running command."""

    pid: int
    log: Path
    began: float

    def wait(self) -> Ended:
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        said = self.log.read_text(errors="replace")
        return Ended(code, said, time.monotonic() - self.began)

    def kill(self, number: int, after: float, once: Callable[[], bool] = lambda: True) -> Ended:
        """Send a signal so many seconds after `once` became true, unless it has ended by itself."""
        until = math.inf
        while (now := time.monotonic()) < until:
            if until == math.inf and once():
                until = now + after
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                return Ended(code, self.log.read_text(errors="replace"), 0.0)
            time.sleep(0.001)
        os.kill(self.pid, number)
        return self.wait()


def start(work: Callable[[], int], log: Path) -> Child:
    """`work` in a child process, whose exit code it gives; what it says goes to `log`."""
    began = time.monotonic()
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return Child(pid, log, began)
    code = 70
    try:
        end = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(end, 1)
        os.dup2(end, 2)
        code = work()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def command(*arguments: object, broken: Callable[[], None] = lambda: None) -> Callable[[], int]:
    """The work of `unpaired ARGUMENTS`, after `broken` broke something."""

    def work() -> int:
        broken()
        return cli.run([str(argument) for argument in arguments])

    return work


class Bench:
    """What all trials share: pictures, a configuration, the run that nobody disturbed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.config = folder / "config.yaml"
        self.everything = 1
        """Trials that a fault needs to try all there is, if it knows."""
        self.counts: list[int] = []
        """How many things are done to the disk by a checkpoint, once `writes` has counted."""
        if not self.data.exists():
            for seed, (name, count) in enumerate({"trainA": 7, "trainB": 5, "testA": 2}.items()):
                write_pictures(self.data / name, count, seed)
            write_pictures(self.data / "testB", 2, 9)
        write_yaml(self.settings(), self.config)

    def settings(self, **changes: object) -> TrainConfig:
        """The smallest CycleGAN with everything on: identity, history, EMA, samples."""
        fields = {"steps": STEPS, "checkpoint_every": EVERY, "sample_every": 4}
        return tiny_config(self.data, **{**fields, **changes})

    def train(
        self, run: Path, *, broken: Callable[[], None] = lambda: None, config: Path | None = None
    ) -> Child:
        """Start the run, or take it up where it is."""
        run.parent.mkdir(parents=True, exist_ok=True)
        arguments = ("train", "--config", config or self.config, "--out", run, "--resume")
        return start(command(*arguments, broken=broken), self.folder / "said.txt")

    @cached_property
    def undisturbed(self) -> Path:
        """The run as it should be."""
        run = self.folder / "undisturbed"
        shutil.rmtree(run, ignore_errors=True)
        ended = self.train(run).wait()
        assert ended.code == 0, ended.said
        self.seconds = ended.seconds
        return run

    def finish(self, run: Path) -> Ended:
        """Take the run up and let it end; it must then be as the undisturbed one."""
        ended = self.train(run).wait()
        assert ended.code == 0, f"the resume ended with {ended.code}: {ended.said[-500:]}"
        self.same(run)
        return ended

    def same(self, run: Path) -> None:
        """Every tensor and value of the last checkpoint is that of the undisturbed run, but for the
        clock; every step has one line of metrics, with seconds that only grow."""
        same_state(find_checkpoint(run), find_checkpoint(self.undisturbed))
        lines = read_metrics(run)
        assert [line["step"] for line in lines] == list(range(1, STEPS + 1)), "metrics.jsonl"
        seconds = [line["seconds"] for line in lines]
        assert seconds == sorted(seconds), "seconds in metrics.jsonl"
        for theirs in (self.undisturbed / "samples").iterdir():
            ours = run / "samples" / theirs.name
            assert ours.read_bytes() == theirs.read_bytes(), ours.name

    @contextmanager
    def run_folder(self) -> Iterator[Path]:
        """A place for a run, empty before and after."""
        run = self.folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        yield run
        shutil.rmtree(run, ignore_errors=True)


def has_stepped(run: Path, step: int) -> bool:
    """Whether metrics.jsonl has the line of a step."""
    path = run / "metrics.jsonl"
    return path.exists() and path.read_bytes().count(b"\n") >= step


def same_state(a: Path, b: Path) -> None:
    """Two checkpoints are equal bit for bit, but for the wall clock."""
    (card_a, one), (card_b, two) = read_state(a), read_state(b)
    assert card_a == card_b, f"the cards differ: step {card_a.step} and {card_b.step}"
    for name in TENSOR_FILES:
        assert one.tensors[name].keys() == two.tensors[name].keys(), name
        for key, value in one.tensors[name].items():
            assert torch.equal(value, two.tensors[name][key]), f"{name}: {key} differs"
    for state in (one, two):
        state.values["run"].pop("seconds")
    assert one.values == two.values, "state.json differs"


def nothing_partial(run: Path) -> None:
    """What stands under a final name is whole: checkpoints load, pictures decode."""
    for checkpoint in checkpoints_of(run):
        read_state(checkpoint)
    for picture in (run / "samples").glob("[!.]*"):
        with Image.open(picture) as image:
            image.load()
