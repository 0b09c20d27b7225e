"""Folders that one process at a time may work in."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from unpaired.errors import reason_of

SECONDS_BETWEEN_LOOKS = 0.2


class HeldError(Exception):
    """Another process works in the folder, and went on for as long as one was ready to wait."""


@contextlib.contextmanager
def held(
    folder: Path,
    patience: float,
    say: Callable[[str], None],
    waiting: str | None = None,
) -> Iterator[None]:
    """Hold a folder; a process that ends, in whatever way, holds it no longer.

    Where folders can't be locked (Windows, some networks) nobody waits, and that is said.

    Args:
        patience: seconds to wait for another process.
        waiting: what to say, once, if there is one.
    Raises: HeldError if it is still there after that; OSError if the folder can't be opened.
    """
    try:
        import fcntl
    except ImportError:
        say(_unlocked(folder, "this system has no locks for folders"))
        yield
        return
    descriptor, end = os.open(folder, os.O_RDONLY), time.monotonic() + patience

    def is_ours() -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            say(_unlocked(folder, reason_of(error)))
        return True

    try:
        while not is_ours():
            if time.monotonic() >= end:
                raise HeldError
            if waiting:
                say(waiting)
                waiting = None
            time.sleep(SECONDS_BETWEEN_LOOKS)
        yield
    finally:
        os.close(descriptor)


def _unlocked(folder: Path, why: str) -> str:
    return f'warning: cannot lock "{folder}": {why}; see that no other process writes there'
