"""A terminal to run commands in, as a person sees them."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def in_terminal(
    command: list[str],
    typed: bytes = b"",
    *,
    until: Callable[[bytes], bool] = lambda shown: False,
    ready: Callable[[bytes], bool] = lambda shown: True,
    seconds: float = 60,
    cwd: Path | None = None,
    **environment: str,
) -> tuple[int | None, bytes]:
    """Run a command in a terminal of 200 columns.

    Args:
        typed: sent once `ready` says so of what is shown.
        until: ends the command, once this says so of what is shown.
    Returns: (exit code, None if it was ended; what was shown).
    """
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": "200", **environment},
        start_new_session=True,
    )
    os.close(theirs)
    shown, end = b"", time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            if typed and ready(shown):
                os.write(ours, typed)
                typed = b""
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    shown += os.read(ours, 65536)
                except OSError:  # so Linux says that the other side is closed
                    break
            if until(shown):
                return None, shown
        return (process.wait(10) if time.monotonic() < end else None), shown
    finally:
        process.kill()
        process.wait()
        os.close(ours)
