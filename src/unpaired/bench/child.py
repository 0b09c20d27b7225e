"""A measurement in a fresh process, so that what came before it leaves no trace in memory."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

import psutil
import torch

from unpaired.errors import UserError

T = TypeVar("T")


def alone(function: Callable[..., T], *arguments: Any, environment: dict[str, str]) -> T:
    """`function(*arguments)` in a new process with as many threads as this one.

    Args:
        function: of a module's top level; it and its result travel between the processes.
        environment: variables that are set for it, if they aren't set already.
    Raises: what it raises; UserError if the system ended it.
    """
    context = multiprocessing.get_context("spawn")
    with (
        _variables(environment),
        ProcessPoolExecutor(1, context, torch.set_num_threads, (torch.get_num_threads(),)) as pool,
    ):
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            raise UserError(
                "the system ended the measurement, most likely for want of memory; give a smaller "
                "--batch, --size or --filters"
            ) from None


@contextlib.contextmanager
def _variables(wanted: dict[str, str]) -> Iterator[None]:
    missing = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            del os.environ[name]


class Memory:
    """The peak of memory since it was made: of this process, or of a CUDA device's tensors."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self.before = psutil.Process().memory_info().rss

    def peak(self) -> int | None:
        """Bytes above what there was; None where the device doesn't tell."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        if self.device.type != "cpu":
            return None
        return max(0, _highest() - self.before)


def _highest() -> int:
    """Bytes of memory that this process had at most."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux: unlike rusage, it isn't inherited from the parent
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if hasattr(facts := psutil.Process().memory_info(), "peak_wset"):
        return int(facts.peak_wset)  # Windows
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
