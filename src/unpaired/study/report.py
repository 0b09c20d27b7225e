"""What a study found, written down: for the terminal, as one page, and as tables for machines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from unpaired.errors import UserError, reason_of
from unpaired.evaluation.published import FOOLED
from unpaired.evaluation.reporting.figures import data_uri
from unpaired.evaluation.reporting.pages import template, write_page
from unpaired.evaluation.valid_json import json_text
from unpaired.study.design import Design, read_design
from unpaired.study.records import CODEBOOK, as_csv, records
from unpaired.study.results import PictureRate, Results, results
from unpaired.study.statistics import RESAMPLES, Rate
from unpaired.study.store import Store

SHOWN = 8
"""Pictures that fooled most, and as many that fooled least."""
APART = (
    "Numbers from different studies don't compare: other pictures, people, screens and days. The "
    "paper's are of Google Maps at 256 x 256."
)
PAPER = ("map to photo", "photo to map")


def write_results(folder: Path, resamples: int = RESAMPLES) -> tuple[str, Path, dict[str, Any]]:
    """Count a study's answers; write report.html, results.json, answers.csv, answers.json and
    codebook.csv into `folder / "results"`.

    Returns: the table for a terminal, the page, and the numbers.
    Raises: UserError if there is no study, or the folder can't be written.
    """
    store = Store(folder / "study.sqlite")
    try:
        design = store.frozen() or read_design(folder / "study.yaml")
        found = results(store, design, _about(store), resamples=resamples)
        lines = records(store, design)
        ids = {(p.arm, p.name): p.id for p in store.pictures if p.kind == "fake"}
    finally:
        store.close()
    numbers = found.numbers()
    out = folder / "results"
    files = {
        "answers.csv": as_csv(lines),
        "answers.json": json_text({"codebook": CODEBOOK, "answers": lines}),
        "codebook.csv": codebook_csv(),
        "results.json": json_text(numbers),
        "report.html": page(found, folder / "images", ids),
    }
    try:
        out.mkdir(exist_ok=True)
    except OSError as error:
        reason = reason_of(error)
        raise UserError(f'cannot make "{out}": {reason}; make room or mend the folder') from None
    for name, text in files.items():
        write_page(out / name, text)
    return as_text(found), out / "report.html", numbers


def _about(store: Store) -> dict[str, Any]:
    about: dict[str, Any] = json.loads(store.value("about") or "{}")
    return about


def codebook_csv() -> str:
    """What the columns of answers.csv mean."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows([("column", "meaning"), *CODEBOOK.items()])
    return text.getvalue()


def percent(rate: Rate | None) -> str:
    """As the paper prints it, with the interval after it."""
    if rate is None:
        return "-"
    return (
        f"{100 * rate.value:.1f}% ± {100 * rate.deviation:.1f}% "
        f"({100 * rate.low:.1f} to {100 * rate.high:.1f})"
    )


def measure(design: Design) -> str:
    """What the rates are called."""
    return "first preferred" if design.question == "better" else "fooled"


def as_text(found: Results) -> str:
    """The tables for a terminal."""
    lines = [f"{found.design.title}  ± as published, 95% interval in brackets"]
    head = ("", "people", measure(found.design), "without exclusions")
    rows = [
        (
            arm.name,
            str(arm.counted.people if arm.counted else 0),
            percent(arm.counted),
            percent(arm.everyone),
        )
        for arm in found.arms
    ]
    lines += _columns([head, *rows])
    apart = [(arm.name, percent(arm.accessible)) for arm in found.arms if arm.accessible]
    if apart:
        lines += ["", "without time limits, apart:", *_columns(apart)]
    if found.pairs:
        lines += ["", "who fools more (of different people):"]
        lines += [
            f"  {p.a} less {p.b}: {100 * p.difference.value:+.1f} points "
            f"({100 * p.difference.low:+.1f} to {100 * p.difference.high:+.1f}), "
            f"P({p.a} fools more) {p.difference.better:.3f}"
            for p in found.pairs
        ]
    if found.design.question != "better":
        lines += ["", "beside Table 1 of Zhu et al. 2017:"]
        head = ("", "this study", *PAPER)
        lines += _columns([head, *((row.name, row.ours, *row.paper) for row in beside(found))])
        lines.append(f"  {APART}")
    lines += ["", *(f"warning: {text}" for text in found.warnings)]
    return "\n".join(lines).rstrip()


def _columns(rows: Iterable[Sequence[str]]) -> list[str]:
    table = [list(row) for row in rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return [
        "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip()
        for row in table
    ]


class Beside:
    """A row of Table 1 with ours in it."""

    def __init__(self, name: str, ours: str, paper: tuple[str, str]) -> None:
        self.name, self.ours, self.paper = name, ours, paper


def beside(found: Results) -> list[Beside]:
    """Our algorithms, then the paper's that we have none of; matched by name."""
    rows, taken = [], set()
    for arm in found.arms:
        key = arm.name.partition(" ")[0].lower().replace("-", "_")
        taken.add(key)
        rows.append(Beside(arm.name, percent(arm.counted), _published(key)))
    rows += [Beside(key, "-", _published(key)) for key in FOOLED if key not in taken]
    return rows


def _published(key: str) -> tuple[str, str]:
    if key not in FOOLED:
        return "-", "-"
    first, second = (f"{value:.1f}% ± {spread:.1f}%" for value, spread in FOOLED[key])
    return first, second


def page(found: Results, images: Path, ids: Mapping[tuple[str, str], str]) -> str:
    """Everything in one HTML file.

    Args:
        images: the study's pictures.
        ids: their file names, by (algorithm, name).
    """

    def picture(arm: str, name: str) -> str:
        with PIL.Image.open(images / f"{ids[arm, name]}.png") as image:
            return data_uri(np.asarray(image.convert("RGB")))

    def shown(one: PictureRate) -> dict[str, Any]:
        algorithms = one.arm.split(" : ") if found.design.question == "better" else [one.arm]
        return {
            "rate": one,
            "pictures": [(arm, picture(arm, one.name)) for arm in algorithms],
        }

    extremes = {}
    for arm in found.arms:
        own = [one for one in found.pictures if one.arm == arm.name]
        count = min(SHOWN, len(own) // 2)
        extremes[arm.name] = {
            "most": [shown(one) for one in own[:count]],
            "least": [shown(one) for one in own[::-1][:count]],
        }
    top = max((rate.high for arm in found.arms if (rate := arm.counted)), default=1.0)
    return template("study.html.j2", "unpaired.study").render(
        found=found,
        design=asdict(found.design),
        measure=measure(found.design),
        versus=found.design.question == "better",
        extremes=extremes,
        top=max(top, 0.05),
        beside=beside(found),
        paper=PAPER,
        apart=APART,
        codebook=CODEBOOK,
    )
