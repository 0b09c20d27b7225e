"""How far a run is, how fast it goes, and how long it went."""

from __future__ import annotations

import time
from collections import deque


class Pace:
    """The clock of a run over all its sessions."""

    def __init__(self, length: dict[str, float], epoch_steps: int) -> None:
        """Args: length: what ends the run, as `TrainConfig.length`."""
        self.length, self.epoch_steps = length, epoch_steps
        self.seconds = 0.0
        """Of training in earlier sessions."""
        self._began, self._began_at = time.monotonic(), 0.0
        self._recent: deque[tuple[float, int]] = deque(maxlen=20)

    def start(self, steps: int) -> None:
        """Training begins now, `steps` into the run."""
        self._began = time.monotonic()
        self._began_at = self.progress(steps)

    def tick(self, images: int) -> None:
        """Another step is done, and with it so many images of each domain in all."""
        self._recent.append((time.monotonic(), images))

    @property
    def elapsed(self) -> float:
        """Seconds of training, over all sessions."""
        return self.seconds + time.monotonic() - self._began

    def progress(self, steps: int) -> float:
        """Share of the run that is done after `steps`; 1 or more: it is over."""
        (unit, amount), *_ = self.length.items()
        if unit == "minutes":
            return self.elapsed / (60 * amount)
        return steps / (amount if unit == "steps" else amount * self.epoch_steps)

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
