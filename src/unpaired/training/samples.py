"""The grid of fixed images that shows how a run comes along."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from unpaired.data.conversions import from_unit
from unpaired.data.showing import as_rgb
from unpaired.methods import Method
from unpaired.whole import write_whole

GAP = 2  # pixels between the pictures


@torch.no_grad()
def sample_columns(method: Method, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """(x, G(x), F(G(x)), y, F(y), G(F(y))) as far as the method has the directions.

    Of a paired method (x, G(x), y): what it made, and what it should have made.

    Args: x, y: (N, C, H, W) in [-1, 1] on the method's device; the method is left as it was.
    Returns: columns by name, each (N, C, H, W), float32, on the CPU.
    """
    training = method.training
    method.eval()
    columns: dict[str, Tensor] = {}
    for source, images, there, back, names in (
        ("x", x, "x2y", "y2x", ("G(x)", "F(G(x))")),
        ("y", y, "y2x", "x2y", ("F(y)", "G(F(y))")),
    ):
        if there not in method.directions:
            continue
        columns[source] = images
        columns[names[0]] = method.translate(images, there)
        if back in method.directions:
            columns[names[1]] = method.translate(columns[names[0]], back)
    if method.paired:
        columns["y"] = y
    method.train(training)
    return {name: images.float().cpu() for name, images in columns.items()}


def grid(columns: dict[str, Tensor]) -> np.ndarray:
    """One picture: a row per image, a column per name; (H, W, 3) uint8."""
    rows = []
    for images in zip(*columns.values()):
        tiles = [as_rgb(from_unit(image.permute(1, 2, 0).numpy(), "uint8")) for image in images]
        rows.append(
            np.concatenate(
                [np.pad(t, ((0, GAP), (0, GAP), (0, 0)), constant_values=255) for t in tiles],
                axis=1,
            )
        )
    return np.concatenate(rows)[:-GAP, :-GAP]


def write_grid(columns: dict[str, Tensor], path: Path) -> None:
    """Write the grid as a PNG under its final name only when it is whole. Raises: OSError."""
    content = io.BytesIO()
    Image.fromarray(grid(columns)).save(content, format="PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content.getvalue())
