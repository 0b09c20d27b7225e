"""Work that threads do meanwhile, a bounded amount of it at a time, its results taken in order."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, NamedTuple, TypeVar

Key = TypeVar("Key")
THREADS = min(8, os.cpu_count() or 1)
PIXELS = 1 << 24
"""In work at a time, 16 million: 50 MB of 8-bit colour. A larger picture waits to be alone."""


class Task(NamedTuple, Generic[Key]):
    """Work handed over, what it belongs to, and how many pixels it holds."""

    key: Key
    pixels: int
    future: Future[Any]


class Overlap(Generic[Key]):
    """A queue of tasks that some threads work on.

    As a context it waits for the tasks that run when it is left, and drops those that don't yet.
    """

    def __init__(self, threads: int | None = None) -> None:
        """Args: threads: None: THREADS."""
        self.threads = threads or THREADS
        self.pool = ThreadPoolExecutor(self.threads, initializer=give_way)
        self.tasks: deque[Task[Key]] = deque()

    def __enter__(self) -> Overlap[Key]:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Wait for the tasks that run; cancel the others."""
        self.pool.shutdown(cancel_futures=True)

    def has_room(self, pixels: int) -> bool:
        """Whether a task that holds so many pixels can be handed over now."""
        held = sum(task.pixels for task in self.tasks)
        return not self.tasks or (len(self.tasks) < 2 * self.threads and held + pixels <= PIXELS)

    def submit(self, key: Key, pixels: int, work: Callable[..., object], *given: object) -> None:
        """Hand over a task."""
        self.tasks.append(Task(key, pixels, self.pool.submit(work, *given)))


def give_way() -> None:
    """Lower the priority of the calling thread alone, on systems where threads have their own.

    The threads that share a convolution wait for the slowest of them, so one that is interrupted
    holds up all.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            own = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), own + 5)
