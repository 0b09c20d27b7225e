"""`unpaired evaluate`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from unpaired.cli.measuring import MeasuringOptions
from unpaired.cli.outputs import check_apart, check_writable
from unpaired.errors import UserError
from unpaired.evaluation.valid_json import json_text
from unpaired.options import parse
from unpaired.whole import write_whole


@dataclass(frozen=True)
class EvaluateOptions:
    """Score runs on their test pictures.

    One run: writes report.html, numbers.json and translations/ into it. Several: each of these, and
    a page that sets them side by side; runs that differ in nothing but their seed count as one
    method, with mean and deviation.
    """

    runs: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN")]
    """Run folders."""
    checkpoint: str = "latest"
    """latest (with best beside it, if a validation share chose another), best, or a step number."""
    measuring: Annotated[MeasuringOptions, tyro.conf.arg(name="")] = field(
        default_factory=MeasuringOptions
    )
    per_image: str | None = None
    """Write one line per picture and direction to this CSV file."""
    out: str = "comparison.html"
    """Where the page of several runs goes."""
    json: str | None = None
    """Write the numbers to this file too."""

    def __post_init__(self) -> None:
        check_writable(self.json)
        check_writable(self.per_image, "--per-image")
        if len(self.runs) > 1:
            check_writable(self.out, "--out")
        check_apart(
            json=self.json,
            per_image=self.per_image,
            out=self.out if len(self.runs) > 1 else None,
        )


def run(arguments: list[str]) -> int:
    """`unpaired evaluate RUN...`."""
    options = parse(EvaluateOptions, arguments, "unpaired evaluate")
    if not options.runs:
        raise UserError("no run to evaluate; give the folder of one, or of several to compare")
    from unpaired.evaluation.entries import check_same_data, compared, grouped
    from unpaired.evaluation.per_image import write_csv
    from unpaired.evaluation.reporting.comparison import write_comparison
    from unpaired.evaluation.result import evaluate
    from unpaired.training.config import read_yaml

    folders = [Path(run) for run in options.runs]
    places = [folder.resolve() for folder in folders]
    for folder, place in zip(folders, places):
        if places.count(place) > 1:
            raise UserError(f'"{folder}" is given twice; give every run once')
        if folder.is_dir() and not (folder / "config.yaml").is_file():
            raise UserError(f'"{folder}": not a run folder; give what `unpaired train` wrote')
    check_same_data(folders)
    data = {read_yaml(folder / "config.yaml").data for folder in folders}
    measures = options.measuring.instruments(next(iter(data)))
    numbers: dict[str, Any] = {}
    lines = 0
    for folder in folders:
        result = evaluate(folder, instruments=measures, checkpoint=options.checkpoint)
        numbers[str(folder)] = result.numbers()
        print(result)
        print(result.page)
        for side in result.judged.evaluation.sides if options.per_image else ():
            which = side.direction if len(folders) == 1 else f"{folder} {side.direction}"
            table = Path(str(options.per_image))
            write_csv(table, which, side.names, side.per_picture, append=lines > 0)
            lines += len(side.names)
    if len(folders) > 1:
        entries = grouped(folders)
        print(write_comparison(Path(options.out), entries))
        numbers = {"runs": numbers, "methods": compared(entries)}
    if options.json:
        content = numbers if len(folders) > 1 else next(iter(numbers.values()))
        write_whole(Path(options.json), json_text(content))
    return 0
