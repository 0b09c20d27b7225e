"""Several runs on the same data as one page: the same test pictures, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unpaired.data.decode import Pixels
from unpaired.data.images import DomainName
from unpaired.data.order import spread
from unpaired.evaluation.entries import Entry, Sighting, combined_scores, sightings
from unpaired.evaluation.failures import FAILURES
from unpaired.evaluation.judging import saved_translation
from unpaired.evaluation.metrics import METRICS, ROWS, Scores, titled
from unpaired.evaluation.reporting.curves import compared_curves, intervals
from unpaired.evaluation.reporting.facts import domain_names
from unpaired.evaluation.reporting.figures import data_uri
from unpaired.evaluation.reporting.pages import cell, template, write_page
from unpaired.evaluation.sides import BACK, domains
from unpaired.evaluation.views import Views, open_views
from unpaired.methods.base import Direction
from unpaired.training.card import read_card
from unpaired.training.checkpoint import read_images
from unpaired.training.config import read_yaml
from unpaired.training.finding import find_checkpoint
from unpaired.training.shares import data_of
from unpaired.training.tracking import read_metrics

SHOWN = 8  # test pictures per strip
DRAWN = ("class_iou", "kid", "l1")  # figures that are plotted, one per question


def write_comparison(
    path: Path,
    entries: Sequence[Entry],
    *,
    title: str = "Several runs",
    tables: Sequence[dict[str, Any]] = (),
) -> Path:
    """One page: per direction, every method's figures beside its translations of the same pictures.

    Args:
        entries: runs that were judged (`judging.save`), on one data set.
        tables: of the paper, as the template wants them.
    Raises: UserError if a run was not judged, or the data are gone.
    """
    data, parts = "", _directions(entries) if entries else []
    if entries:
        data = read_card(find_checkpoint(entries[0].runs[0])).data
    text = template("comparison.html.j2").render(title=title, tables=tables, ways=parts, data=data)
    write_page(path, text)
    return path


def _directions(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Both directions of the page, as the template wants them; the first run's X and Y."""
    first = read_yaml(entries[0].runs[0] / "config.yaml")
    card = read_card(find_checkpoint(entries[0].runs[0]))
    data = data_of(first, card.channels_x, card.channels_y, paired=False)
    seen = {
        direction: {
            entry.label: runs
            for entry in entries
            if (runs := sightings(entry, direction, first.swap))
        }
        for direction in BACK
    }
    limit = next(runs[0].instruments["limit"] for own in seen.values() for runs in own.values())
    views = open_views(data, read_images(card), card.size, limit)
    names = domain_names(first)
    return [_direction(way, own, views, names) for way, own in seen.items() if own]


def _direction(
    direction: Direction,
    seen: dict[str, list[Sighting]],
    views: Views,
    names: dict[str, str],
) -> dict[str, Any]:
    source, target = domains(direction)
    shown = spread(len(views.test[source]), SHOWN)
    strips: list[tuple[str, str, list[Pixels]]] = [
        ("input", names[source], [views.test[source][i] for i in shown])
    ]
    for label, runs in seen.items():
        folder = runs[0].run / "translations" / runs[0].own
        made = [saved_translation(folder, views.names[source][i]) for i in shown]
        strips.append(("ours", label, made))
    if views.paired:
        strips.append(("truth", "hidden truth", [views.test[target][i] for i in shown]))
    some = next(iter(seen.values()))[0]
    rows: dict[str, tuple[str, Scores, int]] = {}
    for label, runs in seen.items():
        rows[label] = ("run", combined_scores(runs, "run"), len(runs))
        best = [one for one in runs if "best" in one.scores]
        if best:
            rows[f"{label}, best on validation"] = (
                "best",
                combined_scores(best, "best"),
                len(best),
            )
    for name, label in ROWS.items():
        if name in some.scores and name not in ("run", "best"):
            rows[label] = (name, combined_scores([some], name), 1)
    keys = [key for key in METRICS if any(scores.get(key) for _, scores, _ in rows.values())]
    panels = {
        titled(METRICS[key], some.instruments): {
            label: e for label, (_, scores, _) in rows.items() if (e := scores.get(key))
        }
        for key in DRAWN
        if key in keys
    }
    floors = {label for label, (kind, *_) in rows.items() if kind not in ("run", "best")}
    return {
        "direction": direction,
        "intervals": intervals(panels, floors),
        "curves": compared_curves(
            {label: [_validated(one) for one in runs] for label, runs in seen.items()},
            "KID on the validation share: should fall",
        ),
        "failures": _failures(seen, views, source),
        "seen_as": views.seen_as(source, target),
        "source": names[source],
        "target": names[target],
        "count": len(views.test[source]),
        "strips": [(kind, label, [data_uri(p) for p in made]) for kind, label, made in strips],
        "columns": [
            {"title": titled(METRICS[key], some.instruments), "better": METRICS[key].better}
            for key in keys
        ],
        "rows": [
            {
                "key": kind,
                "label": label,
                "seeds": count,
                "cells": [
                    cell(
                        scores.get(key),
                        METRICS[key],
                        [e for _, other, _ in rows.values() if (e := other.get(key)) is not None],
                    )
                    for key in keys
                ],
            }
            for label, (kind, scores, count) in rows.items()
        ],
    }


def _validated(one: Sighting) -> list[tuple[int, float, float]]:
    """(step, KID, standard error) on the validation share, as logged while the run trained."""
    kid = f"kid_{one.own}"
    return [
        (int(line["step"]), line[kid], line.get(f"{kid}_error", 0.0))
        for line in read_metrics(one.run)
        if kid in line
    ]


def _failures(
    seen: dict[str, list[Sighting]], views: Views, source: DomainName
) -> list[dict[str, Any]]:
    """By what makes a failure: every method's worst pictures, each input over its translation."""
    at = {name: i for i, name in enumerate(views.names[source])}
    found = []
    for key, caption in FAILURES.items():
        rows = []
        for label, runs in seen.items():
            worst = [pair for pair in runs[0].failures.get(key, []) if pair[0] in at]
            folder = runs[0].run / "translations" / runs[0].own
            pictures = [
                {
                    "name": name,
                    "value": value,
                    "input": data_uri(views.test[source][at[name]]),
                    "made": data_uri(saved_translation(folder, name)),
                }
                for name, value in worst
            ]
            if pictures:
                rows.append({"label": label, "pictures": pictures})
        if rows:
            count = max(len(row["pictures"]) for row in rows)
            found.append({"caption": caption % (count, len(at)), "rows": rows})
    return found
