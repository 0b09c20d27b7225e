"""A run as one page: pictures, curves, numbers, and what they mean."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from unpaired import __version__
from unpaired.data.decode import Pixels
from unpaired.data.domains import SWAPPED, DataSet, open_dataset
from unpaired.data.order import spread
from unpaired.errors import UserError
from unpaired.evaluation.estimates import Estimate
from unpaired.evaluation.features import EfficientNetLite0, FeatureNet, as_rgb
from unpaired.evaluation.figures import data_uri, loss_curves, mosaic, sample_stages
from unpaired.evaluation.scores import LIMIT, Evaluation, Score, Side, evaluate
from unpaired.methods import METHODS
from unpaired.methods.base import Direction
from unpaired.training.checkpoint import find_checkpoint, read_images
from unpaired.training.config import TrainConfig, read_yaml
from unpaired.training.progress import clock
from unpaired.training.tracking import last_session, read_metrics
from unpaired.translation.translator import Translator

TYPICAL, WORST = 8, 4  # rows of the sample grids
STAGES, STAGE_ROWS = 7, 3  # of the training strip
SHEET_PIXELS = 200 * 64 * 64  # test pictures up to this are all shown

ROWS = {
    "input": "the input, untranslated",
    "colour": "the best single colour transform",
    "run": "this run",
    "real": "other real pictures",
}


@dataclass(frozen=True)
class Facts:
    """What the page says about how the run was made."""

    name: str
    method: str
    paired: bool
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
    *,
    checkpoint: str = "latest",
    dataset: DataSet | None = None,
    features: FeatureNet | None = None,
    limit: int = LIMIT,
    about: str | None = None,
) -> tuple[Path, Evaluation]:
    """Score a run and write `report.html` and `numbers.json` into its folder.

    Args:
        dataset: None: the data the run was trained on.
        features: for KID; None: EfficientNet-Lite0, which needs no download.
        limit: test pictures per domain that are scored.
        about: a sentence at the head of the page.
    Returns: (the page, the numbers).
    Raises: UserError if `run` is no run, or its data are no longer there.
    """
    run = Path(run)
    folder = find_checkpoint(run, checkpoint)
    translator = Translator.load(folder)
    config = read_yaml(run / "config.yaml")
    data = dataset or open_dataset(
        config.data,
        Path(config.x) if config.x else None,
        Path(config.y) if config.y else None,
        channels_x=translator.card.channels_x,
        channels_y=translator.card.channels_y,
        paired=METHODS[config.method].paired,
        swap=config.swap,
    )
    net = features or EfficientNetLite0(translator.device)
    scored = evaluate(translator, data, read_images(translator.card), net, limit=limit)
    facts = gather_facts(run, folder, translator, config)
    numbers = {
        "metric": scored.metric,
        "held_out": scored.held_out,
        "data": facts.data,
        "preset": facts.preset,
        "step": facts.step,
        "seconds": facts.seconds,
        "directions": scored.numbers(),
    }
    _write(run / "numbers.json", json.dumps(numbers, indent=1))
    page = run / "report.html"
    _write(page, render(run, scored, facts, reference_runs(facts.data), about))
    return page, scored


def gather_facts(
    run: Path, checkpoint: Path, translator: Translator, config: TrainConfig[Any]
) -> Facts:
    """Read what a run says of itself; what is not there is left out of the page."""
    card = translator.card
    environment = last_session(run)
    so_far = _read_json(checkpoint / "state.json").get("run", {})
    versions = environment.get("versions", {})
    machine = [environment.get("platform"), _times(environment.get("threads"), "thread")]
    return Facts(
        name=run.name,
        method=METHODS[card.method].title,
        paired=METHODS[card.method].paired,
        data=card.data,
        domains=domain_names(card.data),
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


def domain_names(data: str) -> dict[str, str]:
    """{"x": ..., "y": ...} as people call them: the views of a named set, else X and Y."""
    name, _, pair = data.removesuffix(SWAPPED).partition(":")
    x, dash, y = pair.partition("-")
    if dash and name == "worldtiles":
        return {"x": y, "y": x} if data.endswith(SWAPPED) else {"x": x, "y": y}
    return {"x": "X", "y": "Y"}


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
    run: Path,
    scored: Evaluation,
    facts: Facts,
    references: list[dict[str, Any]],
    about: str | None = None,
) -> str:
    """The whole page as text: no address in it leads anywhere but into itself."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("unpaired.evaluation"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = figure
    metrics = read_metrics(run)
    return environment.get_template("report.html.j2").render(
        facts=facts,
        about=about,
        metric=scored.metric,
        held_out=scored.held_out,
        sides=[_side(side, facts) for side in scored.sides],
        strips=[_strip(run, side, facts, metrics, len(scored.sides)) for side in scored.sides],
        curves=loss_curves(metrics),
        references=references,
        clock=clock,
    )


def figure(value: float, digits: int) -> str:
    """A number with so many decimals, with a proper minus, and none before zero."""
    text = f"{value:.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else text.replace("-", "\u2212")


def _side(side: Side, facts: Facts) -> dict[str, Any]:
    """One direction, as the template wants it."""
    source, target = side.direction.split("2")
    columns: list[tuple[str, str, Pixels]] = [
        ("input", facts.domains[source], side.inputs),
        ("ours", "translation", side.translated),
        ("other", "colour transform", side.recoloured),
    ]
    if side.truth is not None:
        columns.append(("truth", "hidden truth", side.truth))
    if side.reconstructed is not None:
        columns.append(("other", "translated back", side.reconstructed))
    count = len(side.inputs)
    typical = spread(count, TYPICAL)
    worst = [] if side.errors is None else [int(i) for i in np.argsort(-side.errors)[:WORST]]
    scores = [_row(name, score, side.scores) for name, score in side.scores.items()]
    sheet = side.inputs.shape[0] * side.inputs.shape[1] * side.inputs.shape[2] <= SHEET_PIXELS
    return {
        "direction": side.direction,
        "source": facts.domains[source],
        "target": facts.domains[target],
        "count": count,
        "every": count / max(1, len(typical)),
        "columns": [(kind, label) for kind, label, _ in columns],
        "typical": [_pictures(i, side, columns) for i in typical],
        "worst": [_pictures(i, side, columns) for i in worst],
        "by_truth": side.truth is not None,
        "scores": scores,
        "cycle": side.cycle,
        "verdict": verdict(side.scores),
        "sheet": data_uri(_sheet(side), lossless=False) if sheet and count else None,
    }


def _pictures(index: int, side: Side, columns: list[tuple[str, str, Pixels]]) -> dict[str, Any]:
    error = None if side.errors is None else float(side.errors[index])
    pictures = [(kind, label, data_uri(pixels[index])) for kind, label, pixels in columns]
    return {"name": side.names[index], "error": error, "pictures": pictures}


def _row(name: str, score: Score, scores: Mapping[str, Score]) -> dict[str, Any]:
    """One line of the table, with bars on the scale of the largest value."""

    def bar(estimate: Estimate | None, among: list[Estimate | None]) -> dict[str, float] | None:
        if estimate is None:
            return None
        top = max(max(e.high, e.value) for e in among if e is not None) or 1.0
        share = [100 * max(0.0, v) / top for v in (estimate.value, estimate.low, estimate.high)]
        return dict(zip(("value", "low", "high"), share))

    return {
        "key": name,
        "label": ROWS[name],
        "kid": score.kid,
        "mae": score.mae,
        "kid_bar": bar(score.kid, [s.kid for s in scores.values()]),
        "mae_bar": bar(score.mae, [s.mae for s in scores.values()]),
    }


def verdict(scores: Mapping[str, Score]) -> str:
    """What the numbers say, in a sentence that doesn't flatter."""
    values = {name: score.kid for name, score in scores.items()}
    ours, plain, colour = values["run"], values["input"], values["colour"]
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
        return f"Further from real pictures than {name}: train longer, or change the settings."
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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content


def _write(path: Path, text: str) -> None:
    """Write a text file under its final name only when it is whole.

    Raises: UserError if the disk is full or not writable.
    """
    fresh = path.with_name(f".{path.name}.part")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f'cannot write "{path}": {reason}; make room or mend the folder') from None
