"""Several processes that train together, as a launcher starts them, but from one warm server."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.started import free_port
from unpaired import cli
from unpaired.training.config import read_yaml
from unpaired.training.interruption import Interrupted
from unpaired.training.ranks import LostRankError
from unpaired.training.run import train
from unpaired.training.trainer import Trainer

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["tests.training.ranks"])
PATIENCE = 300  # seconds; the machine may stop us for a while


class Ranks:
    """`count` processes that each call `work(*arguments)`; what they say goes to `logs`."""

    def __init__(self, count: int, logs: Path, work: Callable[..., Any], *arguments: Any) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.logs, port = [logs / f"rank_{i}.txt" for i in range(count)], free_port()
        self.processes = [
            context.Process(target=_rank, args=(i, count, port, log, work, arguments))
            for i, log in enumerate(self.logs)
        ]
        for process in self.processes:
            process.start()

    def wait(self) -> list[int | None]:
        """Exit codes, once all have ended."""
        end = time.monotonic() + PATIENCE
        for process in self.processes:
            process.join(max(0.0, end - time.monotonic()))
        codes = [process.exitcode for process in self.processes]
        for process in self.processes:
            process.kill()
        return codes

    def said(self, rank: int) -> str:
        return self.logs[rank].read_text()


def _rank(
    index: int, count: int, port: int, log: Path, work: Callable[..., Any], arguments: Any
) -> None:
    os.environ.update(
        RANK=str(index),
        LOCAL_RANK=str(index),
        WORLD_SIZE=str(count),
        LOCAL_WORLD_SIZE=str(count),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        OMP_NUM_THREADS="1",
    )
    torch.set_num_threads(1)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    code = work(*arguments)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    sys.exit(code)


def command(*arguments: str) -> int:
    """`unpaired ARGUMENTS`, as a rank calls it."""
    return cli.run(arguments)


def slow_train(config: Path, out: Path, slow: float, resume: bool = False) -> int:
    """`train` with so many seconds of sleep before each step."""
    step = Trainer.step
    Trainer.step = lambda *a: (time.sleep(slow), step(*a))[1]  # type: ignore[method-assign]
    try:
        train(read_yaml(config), out, resume=resume, quiet=False)
    except Interrupted as stop:
        print(stop)
        return stop.exit_code
    except LostRankError as error:
        print(error)
        return 1
    return 0
