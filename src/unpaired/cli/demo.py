"""`unpaired demo`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from unpaired.cli.outputs import free_folder
from unpaired.options import parse


@dataclass(frozen=True)
class DemoOptions:
    """Train on the embedded worldtiles, translate the test split, write report.html."""

    minutes: float = 10.0
    """Minutes of training; translating and scoring come on top (about one)."""
    out: str | None = None
    """The run folder, new or empty; default: the first free of runs/demo, runs/demo-2, ..."""
    seed: int = 0


def run(arguments: list[str]) -> int:
    """`unpaired demo`."""
    options = parse(DemoOptions, arguments, "unpaired demo")
    from unpaired.demonstration import demo as run_demo
    from unpaired.training.interruption import Interrupted
    from unpaired.training.loop import DivergedError

    out = Path(options.out) if options.out else free_folder(Path("runs"), "demo", bare=True)
    try:
        report = run_demo(options.minutes, out, options.seed)
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return stop.exit_code
    except DivergedError as error:
        print(f"unpaired: {error}", file=sys.stderr)
        return 1
    print(f"open {report}")
    return 0
