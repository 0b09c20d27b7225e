"""Ctrl-C and SIGTERM: finish the step, save, leave."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from shlex import quote
from types import FrameType
from typing import Any


class Interrupted(Exception):  # noqa: N818 - it is no error
    """SIGTERM or Ctrl-C ended the run after a whole step; its checkpoint is written.

    Attributes: number: the signal's; run: the run folder; exit_code: 128 + number.
    """

    def __init__(self, number: int, run: Path, step: int) -> None:
        super().__init__(
            f"stopped at step {step}; continue with: "
            f"unpaired train --out {quote(str(run))} --resume"
        )
        self.number, self.run, self.exit_code = number, run, 128 + number


class Signals:
    """Remembers SIGTERM and SIGINT until the step is done; a second one acts at once.

    Not with a launcher: it hands on what its processes may get from a terminal or a scheduler too.
    """

    def __init__(self, launched: bool = False) -> None:
        """Args: launched: whether a launcher started this process, among others."""
        self.launched = launched
        self.received = 0
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self.before[number] = signal.signal(number, self._remember)
        return self

    def _remember(self, number: int, _: FrameType | None) -> None:
        if self.received and not self.launched:
            raise KeyboardInterrupt
        self.received = number

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
