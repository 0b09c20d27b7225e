"""How far a run is, how fast it goes, and how long it went."""

from __future__ import annotations

import time
from collections import deque


class Pace:
    """The clocks of a run over all its sessions: seconds, steps, and batches of an epoch.

    Attributes:
        seconds: of training in earlier sessions.
        now: of training in all, as it was when the processes last met; what is decided by the
            clock is decided by this one, which they have in common.
        batches: from the start of the first epoch, in batches of this session's size.
    """

    def __init__(self, length: dict[str, float], epoch_batches: int) -> None:
        """Args: length: what ends the run, as `TrainConfig.length`."""
        self.length, self.epoch_batches = length, epoch_batches
        self.seconds = self.now = 0.0
        self.batches = 0
        self._began, self._began_at = time.monotonic(), 0.0
        self._recent: deque[tuple[float, int]] = deque(maxlen=20)

    def start(self, steps: int) -> None:
        """Training begins now, `steps` into the run."""
        self._began, self.now = time.monotonic(), self.seconds
        self._began_at = self.progress(steps)

    def tick(self, images: int) -> None:
        """Another step is done, and with it so many images of each domain in all."""
        self._recent.append((time.monotonic(), images))

    @property
    def elapsed(self) -> float:
        """Seconds of training, over all sessions, by this process's clock."""
        return self.seconds + time.monotonic() - self._began

    @property
    def epoch(self) -> float:
        """Epochs that are done."""
        return self.batches / self.epoch_batches

    def progress(self, steps: int) -> float:
        """Share of the run that is done after `steps`; 1 or more: it is over."""
        (unit, amount), *_ = self.length.items()
        if unit == "minutes":
            return self.now / (60 * amount)
        return steps / amount if unit == "steps" else self.batches / (amount * self.epoch_batches)

    @property
    def rate(self) -> float:
        """Images of each domain per second, over the last steps."""
        if not self._recent:
            return 0.0
        (t0, n0), (t1, n1) = self._recent[0], self._recent[-1]
        return (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0

    def left(self, progress: float) -> float:
        """Seconds until the end, when a share `progress` of the run is done."""
        here = time.monotonic() - self._began
        return here * (1 - progress) / max(progress - self._began_at, 1e-9)
