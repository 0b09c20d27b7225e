"""One direction of a run, as the page shows it: pictures, numbers, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unpaired.data.decode import Pixels
from unpaired.data.order import spread
from unpaired.data.showing import as_rgb
from unpaired.evaluation.failures import FAILURES, WORST, worst
from unpaired.evaluation.faithfulness import CYCLE_TOP, heat, outlined
from unpaired.evaluation.metrics import METRICS, Scores
from unpaired.evaluation.reporting.facts import Facts
from unpaired.evaluation.reporting.figures import data_uri, mosaic, sample_stages
from unpaired.evaluation.reporting.pages import number_tables
from unpaired.evaluation.sides import Evaluation, Side, domains
from unpaired.methods.base import Direction
from unpaired.training.progress import clock

TYPICAL = 8  # rows of the sample grids
STAGES, STAGE_ROWS = 7, 3  # of the training strip
SHEET_PIXELS = 200 * 64 * 64  # test pictures up to this are all shown
DISTURBED = {"jpeg": "JPEG, quality 90", "noise": "slight noise"}


def direction_of(side: Side, scored: Evaluation, facts: Facts) -> dict[str, Any]:
    """One direction, as the template wants it."""
    source, target = domains(side.direction)
    columns: list[tuple[str, str, Pixels]] = [
        ("input", facts.domains[source], side.inputs),
        ("ours", "translation", side.translated),
        ("other", "colour transform", side.recoloured),
    ]
    if side.truth is not None:
        columns.append(("truth", "hidden truth", side.truth))
    if side.reconstruction is not None:
        columns.append(("other", "translated back", side.reconstruction.pictures))
    count = len(side.inputs)
    typical = spread(count, TYPICAL)
    sheet = side.inputs[..., 0].size <= SHEET_PIXELS
    return {
        "direction": side.direction,
        "source": facts.domains[source],
        "target": facts.domains[target],
        "count": count,
        "columns": [(kind, label) for kind, label, _ in columns],
        "typical": [_pictures(i, side, columns) for i in typical],
        "failures": [
            {
                "caption": FAILURES[key] % (len(chosen), count),
                "rows": [_pictures(i, side, columns, side.per_picture[key]) for i in chosen],
            }
            for key, chosen in worst(side.per_picture).items()
        ],
        "by_truth": side.truth is not None,
        "seen_as": side.seen_as,
        "stand_in": side.stand_in,
        "tables": number_tables(side.scores, scored.nets),
        "reconstruction": _reconstruction(side, facts.domains[source]),
        "faithfulness": _faithfulness(side, facts.domains[source]),
        "findings": [found.line for found in side.findings],
        "verdict": verdict(side.scores, facts.imported),
        "sheet": data_uri(_sheet(side), lossless=False) if sheet and count else None,
    }


def _reconstruction(side: Side, source: str) -> dict[str, Any] | None:
    """The way back, plain and after each disturbance: figures, and pictures of the worst hit."""
    found = side.reconstruction
    if found is None:
        return None
    columns: list[tuple[str, str, Pixels]] = [
        ("input", source, side.inputs),
        ("ours", "translation", side.translated),
        ("other", "translated back", found.pictures),
    ]
    columns += [
        ("other", f"back, after {DISTURBED[name]}", pictures)
        for name, pictures in found.disturbed.items()
    ]
    return {
        "verdict": found.verdict,
        "metrics": [METRICS[key] for key in found.scores["plain"]],
        "rows": [
            {
                "label": "translated back" if kind == "plain" else f"after {DISTURBED[kind]}",
                "cells": list(zip(scores.values(), (METRICS[key].digits for key in scores))),
                "drops": list(found.drops.get(kind, {}).values()),
            }
            for kind, scores in found.scores.items()
        ],
        "columns": [(kind, label) for kind, label, _ in columns],
        "pictures": [_pictures(i, side, columns) for i in spread(len(side.inputs), WORST)],
    }


def _faithfulness(side: Side, source: str) -> dict[str, Any]:
    """Maps beside translations: evenly spaced ones, and those with the largest values."""
    faith = side.faithfulness
    boxed = np.stack([outlined(*pair) for pair in zip(side.translated, faith.boxes)])
    columns: list[tuple[str, str, Pixels]] = [
        ("input", source, side.inputs),
        ("ours", "translation", boxed),
        ("other", "structure change", heat(faith.structure_map, 1.0)),
    ]
    doubt = faith.structure_change
    if faith.cycle_map is not None:
        columns.append(("other", "cycle error", heat(faith.cycle_map, CYCLE_TOP)))
        doubt = doubt + faith.cycle_map.mean(axis=(1, 2)) / CYCLE_TOP
    worst = [int(i) for i in np.argsort(-doubt)[:WORST]]
    return {
        "columns": [(kind, label) for kind, label, _ in columns],
        "typical": [_pictures(i, side, columns) for i in spread(len(side.inputs), WORST)],
        "worst": [_pictures(i, side, columns) for i in worst],
        "top": CYCLE_TOP,
    }


def _pictures(
    index: int,
    side: Side,
    columns: list[tuple[str, str, Pixels]],
    values: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """One row of a gallery; `values`: what is said beneath the translation."""
    return {
        "name": side.names[index],
        "value": None if values is None else float(values[index]),
        "pictures": [(kind, label, data_uri(pixels[index])) for kind, label, pixels in columns],
    }


def verdict(scores: Mapping[str, Scores], imported: bool = False) -> str:
    """What the numbers say, in a sentence that doesn't flatter."""
    ours, plain, colour = (scores[row].get("kid") for row in ("run", "input", "colour"))
    if ours is None or plain is None or colour is None:
        return "Too few pictures to measure."
    better, name = (
        (plain, "the untranslated input") if plain.value < colour.value else (colour, "recolouring")
    )
    if ours.high < better.low:
        times = better.value / max(ours.value, 1e-9)
        if ours.value <= 0 or times > 20:
            return f"Far closer to real pictures than {name}."
        return f"{times:.1f} times closer to real pictures than {name}, the better baseline."
    if ours.low > better.high:
        advice = "" if imported else ": train longer, or change the settings"
        return f"Further from real pictures than {name}{advice}."
    return f"About as far from real pictures as {name}: the intervals overlap."


def _sheet(side: Side) -> Pixels:
    """Every test picture: input, translation and, if known, truth, side by side."""
    parts = [side.inputs, side.translated] + ([] if side.truth is None else [side.truth])
    groups = [
        np.concatenate([as_rgb(pixels[i]) for pixels in parts], axis=1)
        for i in range(len(side.inputs))
    ]
    across = max(1, 1150 // groups[0].shape[1])
    return mosaic([groups[i : i + across] for i in range(0, len(groups), across)], gap=6)


def strip(
    run: Path, side: Side, facts: Facts, metrics: list[dict[str, float]], sides: int
) -> dict[str, Any] | None:
    """How the translations of fixed pictures came along, from the run's sample grids."""
    first: dict[Direction, int] = {"x2y": 0, "y2x": 3 if sides == 2 else 0}
    column = first[side.direction]
    before = sample_stages(run, facts.size, column, STAGE_ROWS, 1)
    stages = sample_stages(run, facts.size, column + 1, STAGE_ROWS, STAGES)
    if not stages or not before:
        return None
    inputs = next(iter(before.values()))
    return {
        "source": facts.domains[side.direction[0]],
        "inputs": [data_uri(tile) for tile in inputs],
        "stages": [
            {"step": step, "time": _when(step, metrics), "tiles": [data_uri(t) for t in tiles]}
            for step, tiles in stages.items()
        ],
    }


def _when(step: int, metrics: list[dict[str, float]]) -> str | None:
    """Training time at a step, from the nearest line of metrics.jsonl."""
    timed = [entry for entry in metrics if "seconds" in entry]
    if step == 0:
        return "0:00"
    if not timed:
        return None
    return clock(min(timed, key=lambda entry: abs(entry["step"] - step))["seconds"])
