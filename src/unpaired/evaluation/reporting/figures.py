"""Pictures for the report, as text that an HTML page can carry inside."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import PIL.Image

from unpaired.data.decode import Pixels
from unpaired.data.showing import as_rgb
from unpaired.training.samples import GAP


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
