"""The figures of a machine, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table

from unpaired.bench.clock import Spread
from unpaired.bench.machine import Bench
from unpaired.bench.outlook import EPOCHS, IMAGES, SIZE
from unpaired.bench.step import StepFigures
from unpaired.bench.translation import TranslationFigures
from unpaired.methods import METHODS

TERA, GIB = 1e12, 1 << 30
COLUMNS = ("s", "(quartiles)", "images/s", "TFLOP/s", "of peak", "memory")
WIDE = 120  # columns of a page that is no terminal


def show(found: Bench, file: TextIO) -> None:
    """Print tables: coloured on a terminal, plain elsewhere."""
    console = Console(file=file, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console = Console(file=file, highlight=False, soft_wrap=True, width=WIDE)
    for part in parts(found):
        console.print(part, markup=False) if isinstance(part, str) else console.print(part)


def parts(found: Bench) -> list[str | Table]:
    """Lines and tables, from top to bottom."""
    about = found.machine
    peaks = ", ".join(f"{one / TERA:.3g} TFLOP/s in {name}" for name, one in found.peaks.items())
    method = METHODS[found.setting["method"]].title
    batch = found.setting["batch"]
    steps, pictures = found.steps, found.translations
    lines: list[str | Table] = [
        f"{about['name']}, {about['device']}, {about['threads']} thread(s), torch {about['torch']}",
        f"convolution peak: {peaks}",
        _table(f"{method}: a training step, {found.precision}, batch {batch}", steps, found),
    ]
    if pictures:
        lines.append(_table("translating one picture", pictures, found))
    return [*lines, _reading(found), *_outlook(found)]


def _table(
    title: str, rows: Sequence[StepFigures] | Sequence[TranslationFigures], found: Bench
) -> Table:
    table = Table("pixels", *COLUMNS, title=title, title_justify="left", box=None)
    for column in table.columns:
        column.justify = "right"
    for row in rows:
        name = "" if isinstance(row, StepFigures) else f", {row.computes}"
        share = found.share(row)
        table.add_row(
            f"{row.size} x {row.size}{name}",
            *_seconds(row.seconds),
            f"{row.images_per_second:.3g}",
            f"{row.operations_per_second / TERA:.3g}",
            "" if share is None else f"{share:.0%}",
            "" if row.memory is None else f"{row.memory / GIB:.2f} GiB",
        )
    return table


def _seconds(spread: Spread) -> tuple[str, str]:
    return f"{spread.median:.3g}", f"{spread.low:.3g} to {spread.high:.3g}"


def _reading(found: Bench) -> str:
    """Pictures per second, and how that compares with a step of the same crops."""
    reading = found.loading
    step = next(one for one in found.steps if one.size == reading.size)
    first, later = (
        2 * step.batch / rate / step.seconds.median for rate in (reading.first, reading.cached)
    )
    return (
        f"reading JPEG files of {reading.side} x {reading.side}: {reading.first:.0f} pictures/s "
        f"the first time, {reading.cached:.0f} from the cache; beside a step of {step.size} "
        f"pixels {first:.1%} and {later:.1%} of its time"
    )


def _outlook(found: Bench) -> list[str]:
    seen = found.outlook
    how = "measured" if seen.measured else f"estimated from smaller ones; --size {SIZE} measures it"
    seconds = " to ".join(f"{one:.3g}" for one in seen.seconds)
    lines = [
        f"{EPOCHS} epochs of {IMAGES:,} pictures of {SIZE} x {SIZE} pixels, as in the paper: "
        f"{_duration(*seen.hours)} ({seconds} s a step, {how})"
    ]
    if seen.largest_batch is not None:
        fits = f"a batch of about {seen.largest_batch}" if seen.largest_batch else "not even one"
        lines.append(
            f"{fits} of {SIZE} x {SIZE} fits into the {seen.room / GIB:.1f} GiB that are free"
        )
    return lines


def _duration(low: float, high: float) -> str:
    """Of hours."""
    units = {"days": 24.0, "hours": 1.0}
    unit, size = next(((u, s) for u, s in units.items() if high >= 2 * s), ("minutes", 1 / 60))
    return f"{low / size:.1f} to {high / size:.1f} {unit}"
