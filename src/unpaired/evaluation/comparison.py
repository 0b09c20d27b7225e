"""Several runs on the same data as one page: the same test pictures, side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unpaired.data.decode import Pixels, read_picture
from unpaired.data.images import DomainName
from unpaired.data.order import spread
from unpaired.data.showing import seen_as
from unpaired.errors import UserError
from unpaired.evaluation.curves import compared_curves, intervals
from unpaired.evaluation.estimates import Estimate, student_estimate
from unpaired.evaluation.failures import FAILURES
from unpaired.evaluation.figures import data_uri
from unpaired.evaluation.metrics import METRICS, Scores
from unpaired.evaluation.pages import ROWS, cell, template, titled, write_page
from unpaired.evaluation.report import domain_names
from unpaired.evaluation.scores import BACK, domains
from unpaired.evaluation.views import Views, open_views
from unpaired.methods import KINDS
from unpaired.methods.base import Direction
from unpaired.training.card import read_card
from unpaired.training.checkpoint import read_images
from unpaired.training.config import CHANGEABLE_ON_RESUME, TrainConfig, differences, read_yaml
from unpaired.training.finding import find_checkpoint
from unpaired.training.shares import data_of
from unpaired.training.tracking import read_metrics

SHOWN = 8  # test pictures per strip
DRAWN = ("class_iou", "kid", "l1")  # figures that are plotted, one per question


@dataclass(frozen=True)
class Entry:
    """One method: a run for each seed, or the runs of its two directions."""

    label: str
    runs: tuple[Path, ...]


@dataclass(frozen=True)
class Sighting:
    """A run in one direction, in the frame of the page: X and Y as the first run has them."""

    run: Path
    own: Direction
    """What the run itself calls the direction."""
    seed: int
    pictures: int
    scores: dict[str, Any]
    """By row and metric, as numbers.json has them."""
    instruments: dict[str, Any]
    """What they were measured with."""
    failures: dict[str, list[tuple[str, float]]]
    """By the figure that chose them: names and values of its worst pictures."""


def grouped(runs: Sequence[Path]) -> list[Entry]:
    """Runs that differ in nothing but seed and direction count as one method.

    Raises: UserError if a folder is no run.
    """
    groups: list[tuple[TrainConfig[Any], list[Path]]] = []
    for run in runs:
        config = read_yaml(run / "config.yaml")
        for known, members in groups:
            if known.method == config.method and not _apart(known, config):
                members.append(run)
                break
        else:
            groups.append((config, [run]))
    labels = [_label(config) for config, _ in groups]
    return [
        Entry(label if labels.count(label) == 1 else f"{label}, {members[0].name}", tuple(members))
        for label, (_, members) in zip(labels, groups)
    ]


def _apart(a: TrainConfig[Any], b: TrainConfig[Any]) -> set[str]:
    lengths = {"steps", "epochs", "minutes"}
    ignored = (CHANGEABLE_ON_RESUME - lengths) | {"seed", "swap", "channels_x", "channels_y"}
    found = set(differences(a, b)) - ignored
    return {name for name in found if a.swap == b.swap or not name.startswith("images.")}


def check_same_data(runs: Sequence[Path]) -> None:
    """Refuse runs on several data sets: their figures don't compare, even if file names agree.

    Raises: UserError that names the first two that differ.
    """
    first = read_yaml(runs[0] / "config.yaml")
    for run in runs[1:]:
        config = read_yaml(run / "config.yaml")
        if _pictures(config) != _pictures(first):
            raise UserError(
                f'"{run}" was trained on other pictures than "{runs[0]}"; compare runs on one data '
                "set"
            )


def _pictures(config: TrainConfig[Any]) -> set[str]:
    """Where a run's pictures are, whichever domain is X."""
    places = (config.data, config.x, config.y)
    return {str(Path(p).resolve()) if Path(p).exists() else p for p in places if p is not None}


def _label(config: TrainConfig[Any]) -> str:
    title = KINDS[config.method].title
    return f"{title}, {config.preset.replace('+', ' + ')}" if config.preset else title


def sightings(entry: Entry, direction: Direction, swapped: bool) -> list[Sighting]:
    """The runs of an entry that go in a direction of the page, one per seed.

    Args: swapped: whether the page's X and Y are those of a run with --swap.
    Raises: UserError if a run was not judged yet.
    """
    found = []
    for run in entry.runs:
        config = read_yaml(run / "config.yaml")
        own = direction if config.swap == swapped else BACK[direction]
        try:
            numbers = json.loads((run / "numbers.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise UserError(f'"{run}" was not evaluated; run: unpaired evaluate {run}') from None
        if own in numbers["directions"]:
            side = numbers["directions"][own]
            found.append(
                Sighting(
                    run,
                    own,
                    numbers["seed"],
                    side["pictures"],
                    side["scores"],
                    numbers["instruments"],
                    side.get("failures", {}),
                )
            )
    return found


def combined(estimates: Sequence[dict[str, float]]) -> Estimate:
    """One figure of several seeds; of one: as it is.

    Their mean with Student's 95% interval, which is wide for few: the chance of training, not
    that of the choice of test pictures, which is the same for all. `error` is their deviation.
    """
    if len(estimates) == 1:
        return Estimate(**estimates[0])
    return student_estimate([estimate["value"] for estimate in estimates])


def combined_scores(seen: Sequence[Sighting], row: str) -> Scores:
    """A row of several seeds."""
    rows = [one.scores.get(row, {}) for one in seen]
    keys = [key for key in METRICS if rows and all(values.get(key) for values in rows)]
    return {key: combined([values[key] for values in rows]) for key in keys}


def compared(entries: Sequence[Entry]) -> dict[str, Any]:
    """For machines: every method's figures by direction, over its seeds."""
    swapped = read_yaml(entries[0].runs[0] / "config.yaml").swap
    found: dict[str, Any] = {}
    for entry in entries:
        for way in BACK:
            if seen := sightings(entry, way, swapped):
                scores = combined_scores(seen, "run")
                found.setdefault(entry.label, {})[way] = {
                    "seeds": [one.seed for one in seen],
                    "scores": {key: asdict(e) for key, e in scores.items() if e is not None},
                }
    return found


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
        "seen_as": {
            name: how
            for name, own in (("input", views.test[source]), ("translation", views.test[target]))
            if (how := seen_as(own.shape[3], str(own.dtype)))
        },
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


def saved_translation(folder: Path, name: str) -> Pixels:
    """The saved translation of a test picture.

    Raises: UserError if it isn't there: the run was judged on other pictures.
    """
    for suffix in ("png", "tif"):
        if (path := folder / f"{name}.{suffix}").is_file():
            return read_picture(path).pixels
    raise UserError(
        f'"{folder}" has no translation of "{name}": the runs were not evaluated on the same '
        "pictures; compare runs on one data set, evaluated alike"
    )
