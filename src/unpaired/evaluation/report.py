"""A run as one page: pictures, curves, numbers, and what they mean."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unpaired import __version__
from unpaired.data.decode import Pixels
from unpaired.data.domains import DataSet, is_packed
from unpaired.data.order import spread
from unpaired.data.showing import as_rgb
from unpaired.evaluation.curves import loss_curves, validation_curve
from unpaired.evaluation.failures import FAILURES, WORST, worst
from unpaired.evaluation.faithfulness import CYCLE_TOP, heat, outlined
from unpaired.evaluation.features import EfficientNetLite0
from unpaired.evaluation.figures import data_uri, mosaic, sample_stages
from unpaired.evaluation.instruments import Instruments
from unpaired.evaluation.judging import Judged, judge, save
from unpaired.evaluation.metrics import METRICS, Scores
from unpaired.evaluation.pages import number_tables, template, titled, write_page
from unpaired.evaluation.scores import Evaluation, Side, domains
from unpaired.methods import KINDS, METHODS
from unpaired.methods.base import Direction
from unpaired.training.config import TrainConfig
from unpaired.training.finding import read_progress
from unpaired.training.progress import clock
from unpaired.training.tracking import last_session, read_findings, read_metrics, summed_up
from unpaired.translation.translator import Translator

TYPICAL = 8  # rows of the sample grids
STAGES, STAGE_ROWS = 7, 3  # of the training strip
SHEET_PIXELS = 200 * 64 * 64  # test pictures up to this are all shown

DISTURBED = {"jpeg": "JPEG, quality 90", "noise": "slight noise"}


@dataclass(frozen=True)
class Facts:
    """What the page says about how the run was made."""

    name: str
    method: str
    paired: bool
    imported: bool
    """It was trained elsewhere, nobody knows how long."""
    data: str
    domains: dict[str, str]
    preset: str | None
    precision: str
    size: int
    step: int
    epochs: float
    seconds: float | None
    batch: int
    machine: str
    versions: str
    resume: str


def write_report(
    run: Path,
    instruments: Instruments | None = None,
    *,
    checkpoint: str = "latest",
    dataset: DataSet | None = None,
    about: str | None = None,
) -> tuple[Path, Judged]:
    """Judge a run; write `report.html`, `numbers.json` and `translations/` into its folder.

    Args:
        instruments: None: KID over EfficientNet-Lite0, which needs no download.
        checkpoint: "latest" (and "best" beside it, if validation chose another), "best", a step.
        dataset: None: the data the run was trained on.
        about: a sentence at the head of the page.
    Returns: (the page, what was found).
    Raises: UserError if `run` is no run, its data are no longer there, or can't be judged so.
    """
    judged = judge(
        run,
        instruments or Instruments(EfficientNetLite0()),
        checkpoint=checkpoint,
        dataset=dataset,
    )
    save(judged)
    page = judged.run / "report.html"
    facts = gather_facts(judged.run, judged.folder, judged.translators["run"], judged.config)
    write_page(page, render(judged, facts, reference_runs(facts.data), about))
    return page, judged


def gather_facts(
    run: Path, checkpoint: Path, translator: Translator, config: TrainConfig[Any]
) -> Facts:
    """Read what a run says of itself; what is not there is left out of the page."""
    card = translator.card
    environment = last_session(run)
    so_far = read_progress(checkpoint)
    versions = environment.get("versions", {})
    machine = [environment.get("platform"), _times(environment.get("threads"), "thread")]
    return Facts(
        name=run.name,
        method=KINDS[card.method].title,
        paired=KINDS[card.method].paired,
        imported=card.method not in METHODS,
        data=card.data,
        domains=domain_names(config),
        preset=card.preset,
        precision=card.precision,
        size=card.size,
        step=card.step,
        epochs=card.epoch,
        seconds=so_far.get("seconds"),
        batch=config.batch * config.accumulate,
        machine=", ".join(str(part) for part in machine if part),
        versions=f"unpaired {versions.get('unpaired', __version__)}, "
        f"torch {versions.get('torch', 'unknown')}",
        resume=resume_command(run, config),
    )


def resume_command(run: Path, config: TrainConfig[Any]) -> str:
    """The command that trains this run six times as long in all."""
    (unit, amount), *_ = config.length.items()
    total = max(60, round(6 * amount)) if unit == "minutes" else round(6 * amount)
    return f"unpaired train --out {shlex.quote(str(run))} --resume --{unit} {total}"


def domain_names(config: TrainConfig[Any]) -> dict[str, str]:
    """{"x": ..., "y": ...} as people call them: views of a named set, folders, else X and Y."""
    ends = None
    if config.data is None:
        ends = _folder_names(str(config.x), str(config.y))
    elif config.data.startswith("worldtiles:"):
        x, _, y = config.data.partition(":")[2].partition("-")
        ends = x, y
    if ends is None:
        return {"x": "X", "y": "Y"}
    x, y = reversed(ends) if config.swap else ends
    return {"x": x, "y": y}


def _folder_names(x: str, y: str) -> tuple[str, str] | None:
    """The ends of two paths, so long that they differ; None: they are shards or tables."""
    if is_packed(x) or is_packed(y):
        return None
    one, two = Path(x).parts, Path(y).parts
    for depth in range(1, max(len(one), len(two)) + 1):
        ends = "/".join(one[-depth:]), "/".join(two[-depth:])
        if ends[0] != ends[1]:
            return ends
    return None


def reference_runs(data: str) -> list[dict[str, Any]]:
    """Measured runs on the same data to compare with, as shipped with the package.

    Each has "label", "direction", "minutes" and "kid"; and maybe "mae", "steps", "machine" and
    "command".
    """
    path = resources.files("unpaired.evaluation") / "reference_runs.json"
    if not path.is_file():
        return []
    runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
    return [run for run in runs if run["data"] == data]


def render(
    judged: Judged, facts: Facts, references: list[dict[str, Any]], about: str | None = None
) -> str:
    """The whole page as text: no address in it leads anywhere but into itself."""
    scored, run = judged.evaluation, judged.run
    metrics = read_metrics(run)
    names = net_names(scored)
    return template("report.html.j2").render(
        facts=facts,
        about=about,
        metric=titled(METRICS["kid"], names),
        names=names,
        segmenter=scored.segmenter,
        steps={row: own.card.step for row, own in judged.translators.items()},
        held_out=scored.held_out,
        sides=[_side(side, scored, facts) for side in scored.sides],
        strips=[_strip(run, side, facts, metrics, len(scored.sides)) for side in scored.sides],
        curves=loss_curves(metrics),
        validation=validation_curve(metrics, _best_step(judged), read_findings(run)),
        history=summed_up(read_findings(run)),
        references=references,
        clock=clock,
    )


def _best_step(judged: Judged) -> int | None:
    """The step that the validation share chose; None if none did."""
    if "best" in judged.translators:
        return judged.translators["best"].card.step
    return judged.translators["run"].card.step if (judged.run / "best").is_file() else None


def net_names(scored: Evaluation) -> dict[str, str | None]:
    """What stands in the titles of metrics."""
    return {"features": scored.features, "perceptual": scored.perceptual}


def _side(side: Side, scored: Evaluation, facts: Facts) -> dict[str, Any]:
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
        "tables": number_tables(side.scores, net_names(scored)),
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


def _strip(
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


def _times(count: Any, noun: str) -> str | None:
    return None if count is None else f"{count} {noun}{'' if count == 1 else 's'}"
