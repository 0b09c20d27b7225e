"""What every page shares: its template engine, how it writes numbers, bars, and itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2

from unpaired.errors import UserError, reason_of
from unpaired.evaluation.estimates import Estimate
from unpaired.evaluation.metrics import GROUPS, METRICS, ROWS, Metric, Scores, titled
from unpaired.whole import write_whole


def template(name: str, package: str = "unpaired.evaluation.reporting") -> jinja2.Template:
    """A page's template, of a package that may build on those here; what is put in is escaped."""
    packages = dict.fromkeys((package, "unpaired.evaluation.reporting"))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(one) for one in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = figure
    return environment.get_template(name)


def figure(value: float, digits: int) -> str:
    """A number with so many decimals, with a proper minus, and none before zero."""
    text = f"{value:.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else text.replace("-", "\u2212")


def number_tables(
    scores: Mapping[str, Scores], names: Mapping[str, str | None]
) -> list[dict[str, Any]]:
    """The rows of an evaluation as tables, one per question; what nobody measured is left out.

    Args: names: "features" and "perceptual", for the titles.
    """
    tables = []
    for question, keys in GROUPS.items():
        present = [key for key in keys if any(row.get(key) for row in scores.values())]
        rows = [name for name in ROWS if any(scores.get(name, {}).get(key) for key in present)]
        if not present:
            continue
        tables.append(
            {
                "question": question,
                "columns": [
                    {"title": titled(METRICS[key], names), "better": METRICS[key].better}
                    for key in present
                ],
                "rows": [
                    {
                        "key": name,
                        "label": ROWS[name],
                        "cells": [
                            cell(scores[name].get(key), METRICS[key], _column(scores, key))
                            for key in present
                        ],
                    }
                    for name in rows
                ],
            }
        )
    return tables


def plain_tables(scores: Mapping[str, Scores], names: Mapping[str, str | None]) -> str:
    """The same for a terminal."""
    lines = []
    for table in number_tables(scores, names):
        lines.append(f"  {'':<44}" + "".join(f"{c['title']:>28}" for c in table["columns"]))
        for row in table["rows"]:
            cells = ("-" if one is None else _plain(one) for one in row["cells"])
            lines.append(f"  {row['label']:<44}" + "".join(f"{text:>28}" for text in cells))
    return "\n".join(lines)


def _plain(one: Mapping[str, Any]) -> str:
    """ "0.052 (0.044-0.059)"; with "to" where a minus beside the dash could not be read."""
    found, digits = one["estimate"], one["digits"]
    low, high = f"{found.low:.{digits}f}", f"{found.high:.{digits}f}"
    between = " to " if "-" in low + high else "-"
    return f"{found.value:.{digits}f} ({low}{between}{high})"


def cell(
    estimate: Estimate | None, metric: Metric, among: Iterable[Estimate]
) -> dict[str, Any] | None:
    """A figure with its interval, and a bar on the scale of the column's largest value."""
    if estimate is None:
        return None
    top = max((max(e.high, e.value) for e in among), default=0.0) or 1.0
    share = [100 * max(0.0, v) / top for v in (estimate.value, estimate.low, estimate.high)]
    return {
        "estimate": estimate,
        "digits": metric.digits,
        "bar": dict(zip(("value", "low", "high"), share)),
    }


def _column(scores: Mapping[str, Scores], key: str) -> list[Estimate]:
    return [e for row in scores.values() if (e := row.get(key)) is not None]


def write_page(path: Path, text: str) -> None:
    """Write a text file under its final name only when it is whole.

    Raises: UserError if the disk is full or not writable.
    """
    try:
        write_whole(path, text.encode("utf-8"))
    except OSError as error:
        reason = reason_of(error)
        raise UserError(f'cannot write "{path}": {reason}; make room or mend the folder') from None
