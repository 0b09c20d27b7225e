"""Progress on the terminal: a live bar for people, plain lines for pipes and logs."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from unpaired import telling

SECONDS_BETWEEN_LINES = 10.0


class Reporter:
    """Shows step, losses, images per second and time left; everything goes to stderr."""

    def __init__(self, quiet: bool = False) -> None:
        quiet = quiet or telling.is_quiet()
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self.live = self.console.is_terminal and not quiet
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[losses]}", style="dim"),
            console=self.console,
            disable=not self.live,
        )
        self.task = self.bar.add_task("starting", total=1.0, rate="", left="", losses="")
        self.spoken = -SECONDS_BETWEEN_LINES

    def __enter__(self) -> Reporter:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()
        sys.stderr.flush()

    def say(self, text: str) -> None:
        """A line of its own, whatever the bar does."""
        self.console.print(text, markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def patience(self, text: str, seconds: float = 3.0) -> Iterator[None]:
        """Say `text` if what is within the context takes longer than that."""
        timer = threading.Timer(seconds, self.say, (text,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def due(self) -> bool:
        """Whether it is time to show numbers again: reading losses costs a synchronisation."""
        return time.monotonic() - self.spoken >= (0.5 if self.live else SECONDS_BETWEEN_LINES)

    def show(
        self, step: int, progress: float, losses: dict[str, float], rate: float, left: float
    ) -> None:
        """Args: progress: 0 to 1; rate: images of each domain per second, 0: not known yet; left:
        seconds."""
        self.spoken = time.monotonic()
        terms = " ".join(f"{name} {value:.3f}" for name, value in losses.items())
        speed = f"{rate:.1f} images/s" if rate else ""
        remaining = f"{clock(left)} left"
        if self.live:
            self.bar.update(
                self.task,
                completed=progress,
                description=f"step {step}",
                rate=speed,
                left=remaining,
                losses=terms,
            )
        else:
            parts = (f"step {step}", f"{progress:4.0%}", speed, remaining, terms)
            self.say("  ".join(part for part in parts if part))


def clock(seconds: float) -> str:
    """Seconds as 1:02:03 or 2:03."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
