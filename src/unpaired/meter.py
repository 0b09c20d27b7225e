"""How far something long is: a live bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

SECONDS_BETWEEN_LINES = 10.0

Show = Callable[[int, "int | None"], None]
"""(what is done, all there is to do or None if nobody knows)."""


@contextlib.contextmanager
def meter(title: str, *, of_bytes: bool = True) -> Iterator[Show]:
    """What to tell of each step; all of it goes to stderr."""
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    columns: list[progress.ProgressColumn] = [
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
    ]
    if of_bytes:
        columns += [progress.DownloadColumn(), progress.TransferSpeedColumn()]
    else:
        columns += [progress.MofNCompleteColumn()]
    columns += [progress.TimeRemainingColumn()]
    bar = progress.Progress(*columns, console=console, disable=not console.is_terminal)
    task = bar.add_task(title, total=None)
    spoken = time.monotonic()

    def show(done: int, total: int | None) -> None:
        nonlocal spoken
        bar.update(task, completed=done, total=total)
        if bar.disable and time.monotonic() - spoken >= SECONDS_BETWEEN_LINES:
            spoken = time.monotonic()
            share = f" of {total:,} ({done / total:.0%})" if total else ""
            console.print(f"{title}: {done:,}{share}{' bytes' if of_bytes else ''}", soft_wrap=True)

    with bar:
        yield show
