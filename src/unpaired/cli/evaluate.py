"""`unpaired evaluate`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from unpaired.cli.outputs import check_writable
from unpaired.options import parse


@dataclass(frozen=True)
class EvaluateOptions:
    """Score a run on its test pictures; writes report.html and numbers.json into the run."""

    run: Annotated[Positional[str], tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    checkpoint: str = "latest"
    """latest, best, or a step number."""
    json: str | None = None
    """Write the numbers to this file too."""

    def __post_init__(self) -> None:
        check_writable(self.json)


def run(arguments: list[str]) -> int:
    """`unpaired evaluate RUN`."""
    options = parse(EvaluateOptions, arguments, "unpaired evaluate")
    from unpaired.evaluation.report import ROWS, write_report

    page, scored = write_report(Path(options.run), checkpoint=options.checkpoint)
    for side in scored.sides:
        print(f"{side.direction}, {len(side.names)} pictures")
        print(f"  {'':<34}{scored.metric:>26}{'mean error (0-255)':>26}")
        for name, score in side.scores.items():
            kid, mae = (
                f"{e.value:.3f} ({e.low:.3f}-{e.high:.3f})" if e else "-"
                for e in (score.kid, score.mae)
            )
            print(f"  {ROWS[name]:<34}{kid:>26}{mae:>26}")
    print(page)
    if options.json:
        Path(options.json).write_text(json.dumps(scored.numbers(), indent=1), encoding="utf-8")
    return 0
