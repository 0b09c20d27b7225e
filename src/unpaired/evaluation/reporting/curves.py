"""Figures over the course of training, as SVG elements that take a page's text colour."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from unpaired.evaluation.estimates import Estimate
from unpaired.training.tracking import losses_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#010203"  # stands for the page's text colour, light or dark
COLOURS = ("#2a9d8f", "#e76f51", "#5b7fd6", "#d9a12b", "#9b5fc0", "#7a8a4f", "#c9577f", "#5aa9c9")
SEVERITY = {"notice": COLOURS[3], "warning": COLOURS[1]}
DASHES = ("-",) * len(COLOURS) + ("--",) * len(COLOURS) + (":",) * len(COLOURS)
ERROR = "_error"  # ends the name of a standard error


def loss_curves(metrics: list[dict[str, float]]) -> str | None:
    """The losses over training as an SVG element; None if fewer than two lines were logged.

    Adversarial terms on the left, the others on the right; thin: as logged, thick: smoothed.
    """
    lines = [{"step": entry["step"], **losses_of(entry)} for entry in metrics]
    lines = [line for line in lines if len(line) > 1]
    names = sorted({name for line in lines for name in line} - {"step"})
    if len(lines) < 2 or not names:
        return None
    adversarial = [n for n in names if n.startswith(("gan_", "D_"))]
    panels = [
        (title, chosen)
        for title, chosen in (
            ("Adversarial: neither player should win", adversarial),
            ("Cycle and identity: should fall", [n for n in names if n not in adversarial]),
        )
        if chosen
    ]
    with _canvas(3.6) as figure:
        for place, (title, chosen) in enumerate(panels):
            axes = figure.add_subplot(1, len(panels), place + 1)
            for colour, name in zip(COLOURS * 4, chosen):
                points = [(line["step"], line[name]) for line in lines if name in line]
                steps, values = np.array(points).T
                axes.plot(steps, values, color=colour, linewidth=0.7, alpha=0.3)
                axes.plot(steps, _smooth(values), color=colour, linewidth=2, label=name)
            axes.set_ylim(bottom=0)
            _dress(axes, title)
            axes.legend(ncols=2, fontsize=10)
        return _svg(figure)


def validation_curve(
    metrics: list[dict[str, float]], best: int | None, findings: list[dict[str, Any]]
) -> str | None:
    """The validation score over training as an SVG element; None for fewer than two evaluations.

    A line per direction, in a band of one standard error; below, when each finding was there.

    Args:
        metrics: lines of metrics.jsonl.
        best: the step that validation chose.
        findings: lines of findings.jsonl.
    """
    lines = [entry for entry in metrics if "validation_score" in entry]
    if len(lines) < 2:
        return None
    ways = sorted({n for e in lines for n in e if n.startswith("kid_") and not n.endswith(ERROR)})
    rows = list(dict.fromkeys((f["name"], f["direction"]) for f in findings))
    with _canvas(3.6 + 0.3 * len(rows)) as figure:
        heights = [3.0, 0.3 * len(rows)] if rows else [3.0]
        grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
        axes = figure.add_subplot(grid[0])
        for colour, name in zip(COLOURS, ways or ["validation_score"]):
            points = [(e["step"], e[name], e.get(name + ERROR, 0)) for e in lines if name in e]
            steps, values, errors = np.array(points).T
            axes.fill_between(
                steps, values - errors, values + errors, color=colour, alpha=0.18, linewidth=0
            )
            label = _way(name.removeprefix("kid_")) if ways else "score"
            axes.plot(steps, values, ".-", color=colour, linewidth=2, label=label)
        if best is not None:
            axes.axvline(best, color=INK, linewidth=1, linestyle="--", label=f"best: step {best}")
        _dress(axes, f"{'KID' if ways else 'Score'} on the validation share: should fall")
        axes.legend(ncols=len(ways) + 1, fontsize=10)
        if rows:
            below = figure.add_subplot(grid[1], sharex=axes)
            for row, key in enumerate(rows):
                there = [f for f in findings if (f["name"], f["direction"]) == key]
                colours = [SEVERITY[f["severity"]] for f in there]
                below.scatter([f["step"] for f in there], [row] * len(there), 24, colours)
            labels = [f"{name.replace('_', ' ')}, {_way(way)}" for name, way in rows]
            below.set_yticks(range(len(rows)), labels)
            below.set_ylim(len(rows) - 0.5, -0.5)
            _dress(below, "")
            axes.set_xlabel("")
            axes.tick_params(labelbottom=False)
        return _svg(figure)


def compared_curves(
    methods: Mapping[str, Sequence[Sequence[tuple[int, float, float]]]], what: str
) -> str | None:
    """One figure of several methods over training as an SVG element; None if none was taken twice.

    Args:
        methods: by label, one list per run of (step, value, standard error).
        what: the title.
    """
    drawn = {
        label: [points for points in runs if len(points) > 1] for label, runs in methods.items()
    }
    drawn = {label: runs for label, runs in drawn.items() if runs}
    if not drawn:
        return None
    with _canvas(3.8) as figure:
        axes = figure.add_subplot()
        for (label, runs), colour, dash in zip(drawn.items(), COLOURS * 4, DASHES):
            for place, points in enumerate(runs):
                steps, values, errors = np.array(points).T
                axes.fill_between(
                    steps, values - errors, values + errors, color=colour, alpha=0.15, linewidth=0
                )
                name = None if place else label
                axes.plot(steps, values, dash, color=colour, linewidth=1.8, label=name)
        _dress(axes, what)
        axes.legend(fontsize=10, loc="center left", bbox_to_anchor=(1, 0.5))
        return _svg(figure)


def intervals(panels: Mapping[str, Mapping[str, Estimate]], floors: Collection[str]) -> str | None:
    """Figures as points with their 95% intervals, a row per label; an SVG element.

    Args:
        panels: by title, the figures by label; all panels share the rows.
        floors: labels that are no methods, drawn faint.
    Returns: None if there is nothing to draw.
    """
    labels = list(dict.fromkeys(label for figures in panels.values() for label in figures))
    if not labels:
        return None
    with _canvas(1.0 + 0.26 * len(labels)) as figure:
        for place, (title, found) in enumerate(panels.items()):
            axes = figure.add_subplot(1, len(panels), place + 1)
            for row, label in enumerate(labels):
                if label not in found:
                    continue
                e, faint = found[label], label in floors
                colour = COLOURS[5] if faint else COLOURS[0]
                axes.plot([e.low, e.high], [row, row], color=colour, linewidth=2, alpha=0.6)
                axes.plot([e.value], [row], "D" if faint else "o", color=colour, markersize=6)
            axes.set_yticks(range(len(labels)), labels if place == 0 else [""] * len(labels))
            axes.set_ylim(len(labels) - 0.5, -0.5)
            _dress(axes, title, steps=False)
            axes.grid(axis="x", color=INK, alpha=0.12)
        return _svg(figure)


def pace_curves(metrics: list[dict[str, float]]) -> str | None:
    """Pictures a second and the learning rate over training; None for fewer than two lines."""
    panels = [
        (title, [(line["step"], line[name]) for line in metrics if name in line])
        for name, title in (
            ("images_per_second", "Pictures of each domain per second"),
            ("lr", "Learning rate"),
        )
    ]
    panels = [(title, points) for title, points in panels if len(points) > 1]
    if not panels:
        return None
    with _canvas(2.2) as figure:
        for place, (title, points) in enumerate(panels):
            axes = figure.add_subplot(1, len(panels), place + 1)
            steps, values = np.array(points).T
            axes.plot(steps, values, color=COLOURS[2 + place], linewidth=1.6)
            axes.set_ylim(bottom=0)
            _dress(axes, title)
        return _svg(figure)


def _way(direction: str) -> str:
    return " to ".join(direction.upper().split("2"))


@contextlib.contextmanager
def _canvas(height: float) -> Iterator[Figure]:
    """A transparent figure, 11 inches wide, in the style of the page."""
    from matplotlib import rc_context  # slow to import
    from matplotlib.figure import Figure

    style: dict[str, Any] = {"svg.fonttype": "none", "svg.hashsalt": "unpaired", "font.size": 11}
    style |= {"text.parse_math": False}  # names are no formulas
    style |= {"text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK}
    style |= {"axes.edgecolor": INK, "axes.linewidth": 0.6, "legend.frameon": False}
    with rc_context(cast(Any, style)):
        figure = Figure(figsize=(11, height), layout="constrained")
        figure.patch.set_alpha(0)
        yield figure


def _dress(axes: Axes, title: str, *, steps: bool = True) -> None:
    axes.patch.set_alpha(0)
    axes.set_title(title, fontsize=11, loc="left")
    if steps:
        axes.set_xlabel("step")
        axes.locator_params(axis="x", integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=INK, alpha=0.12)


def _svg(figure: Figure) -> str:
    """The figure as an element that takes the page's width and text colour."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return re.sub(r"font(-family)?: [^;\"]*'[^;\"]*", _plain_font, svg)


def _plain_font(match: re.Match[str]) -> str:
    size = re.search(r"[\d.]+px", match.group())
    return f"font: {size.group() if size else '11px'} sans-serif"


def _smooth(values: np.ndarray, window: float = 0.06) -> np.ndarray:
    """A running mean, centred, over a share of the curve; shorter at the ends."""
    half = int(len(values) * window / 2)
    padded = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    result: np.ndarray = (padded[high] - padded[low]) / (high - low)
    return result
