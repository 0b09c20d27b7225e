"""Pictures for the report, as text that an HTML page can carry inside."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import PIL.Image

from unpaired.data.decode import Pixels
from unpaired.evaluation.features import as_rgb
from unpaired.training.samples import GAP

INK = "#010203"  # stands for the page's text colour, light or dark
COLOURS = ("#2a9d8f", "#e76f51", "#5b7fd6", "#d9a12b", "#9b5fc0", "#7a8a4f", "#c9577f", "#5aa9c9")


def data_uri(pixels: Pixels, *, lossless: bool = True) -> str:
    """A picture (H, W, C) of any type as a `data:` address."""
    buffer = io.BytesIO()
    image = PIL.Image.fromarray(np.ascontiguousarray(as_rgb(pixels)))
    if lossless:
        image.save(buffer, "PNG", optimize=True)
        kind = "png"
    else:
        image.save(buffer, "WEBP", quality=85)
        kind = "webp"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def mosaic(rows: list[list[Pixels]], gap: int = 3, paper: int = 128) -> Pixels:
    """Pictures of one size in a table, (H, W, 3); short rows are filled up with `paper`."""
    side = as_rgb(rows[0][0]).shape
    columns = max(len(row) for row in rows)
    sheet = np.full(
        (len(rows) * (side[0] + gap) - gap, columns * (side[1] + gap) - gap, 3), paper, np.uint8
    )
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            top, left = r * (side[0] + gap), c * (side[1] + gap)
            sheet[top : top + side[0], left : left + side[1]] = as_rgb(picture)
    return sheet


def sample_stages(
    run: Path, size: int, column: int, rows: int, most: int
) -> dict[int, list[Pixels]]:
    """One column of the sample grids over training: {step: pictures}, evenly thinned to `most`."""
    paths = sorted((run / "samples").glob("step_*.png"))
    if len(paths) > most:
        keep = np.unique(np.linspace(0, len(paths) - 1, most).round().astype(int))
        paths = [paths[i] for i in keep]
    stages = {}
    for path in paths:
        with PIL.Image.open(path) as image:
            grid = np.asarray(image.convert("RGB"))
        left = column * (size + GAP)
        tops = range(0, min(rows * (size + GAP), grid.shape[0] - size + 1), size + GAP)
        stages[int(path.stem.removeprefix("step_"))] = [
            grid[top : top + size, left : left + size] for top in tops
        ]
    return {step: tiles for step, tiles in stages.items() if tiles and tiles[0].size}


def loss_curves(metrics: list[dict[str, float]]) -> str | None:
    """The losses over training as an SVG element; None if fewer than two lines were logged.

    Adversarial terms on the left, the others on the right; thin: as logged, thick: smoothed.
    """
    from matplotlib import rc_context  # slow to import
    from matplotlib.figure import Figure

    known = {"step", "epoch", "seconds", "lr", "images_per_second", "skipped", "validation_score"}
    lines = [entry for entry in metrics if set(entry) - known]
    names = sorted({name for entry in lines for name in entry} - known)
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
    style: dict[str, Any] = {"svg.fonttype": "none", "svg.hashsalt": "unpaired", "font.size": 11}
    style |= {"text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK}
    style |= {"axes.edgecolor": INK, "axes.linewidth": 0.6, "legend.frameon": False}
    with rc_context(cast(Any, style)):
        figure = Figure(figsize=(11, 3.6), layout="constrained")
        figure.patch.set_alpha(0)
        for place, (title, chosen) in enumerate(panels):
            axes = figure.add_subplot(1, len(panels), place + 1)
            axes.patch.set_alpha(0)
            for colour, name in zip(COLOURS * 4, chosen):
                points = [(e["step"], e[name]) for e in lines if name in e]
                steps, values = np.array(points).T
                axes.plot(steps, values, color=colour, linewidth=0.7, alpha=0.3)
                axes.plot(steps, _smooth(values), color=colour, linewidth=2, label=name)
            axes.set_title(title, fontsize=11, loc="left")
            axes.set_xlabel("step")
            axes.set_ylim(bottom=0)
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", color=INK, alpha=0.12)
            axes.legend(ncols=2, fontsize=10)
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
