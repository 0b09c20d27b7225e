"""Tile by tile with the statistics of a sample: no files, one sweep, and an error that is told."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from unpaired.translation.norms import Statistics, normed_by, pooled
from unpaired.translation.tiling.fields import Field

SAMPLED = 16
"""Tiles whose pooled statistics stand for the whole picture's."""
SIDE = 256
"""Pixels of a sampled tile's side."""
CORE = 768
"""Pixels of a translated tile's side, without its margin."""
CHECKED = 4
"""Tiles that are translated twice to estimate the error."""


@dataclass(frozen=True)
class Sampled:
    """Statistics by norm, and how far they can be trusted."""

    statistics: dict[int, Statistics]
    error: float
    """Estimated mean absolute error of the translation against exact statistics, in [-1, 1]: half
    the difference between translations with either half of the sample."""


def sample(network: nn.Module, image: Field, multiple: int) -> Sampled:
    """Statistics from tiles spread evenly over the picture."""
    tiles = list(_spread(image, multiple))
    gathered = _gather(network, torch.cat(tiles))
    if len(tiles) < 4:
        return Sampled(gathered, math.nan)
    halves = [_gather(network, torch.cat(tiles[i::2])) for i in (0, 1)]
    checked = torch.cat(tiles[:: max(1, len(tiles) // CHECKED)])
    a, b = (_apply(network, checked, half) for half in halves)
    return Sampled(gathered, float((a.float() - b.float()).abs().mean()) / 2)


def tiles_of(
    network: nn.Module, image: Field, statistics: dict[int, Statistics], multiple: int
) -> Iterator[tuple[int, Tensor]]:
    """(top, rows) of the translation, a row of tiles at a time; rows are (1, C, h, W).

    Each tile is translated with a margin as wide as the network sees, so that nothing of the tile's
    border is left in the result: with the whole picture's statistics it would be the whole
    picture's translation, to rounding.
    """
    margin = -(-reach(network) // multiple) * multiple
    core = max(multiple, CORE // multiple * multiple)
    for top in range(0, image.height, core):
        bottom = min(image.height, top + core)
        above, below = max(0, top - margin), min(image.height, bottom + margin)
        band = image.rows(above, below)
        pieces = []
        for left in range(0, image.width, core):
            right = min(image.width, left + core)
            first, last = max(0, left - margin), min(image.width, right + margin)
            window = band[:, :, :, first:last].contiguous(memory_format=torch.channels_last)
            made = _apply(network, window, statistics)
            pieces.append(made[:, :, top - above : bottom - above, left - first : right - first])
        yield top, torch.cat(pieces, 3)


def reach(network: nn.Module) -> int:
    """Pixels to either side that one pixel of the output depends on, norms aside."""
    radius, jump = 0.0, 1.0
    for layer in network.modules():  # in the order they are run
        if isinstance(layer, nn.Conv2d):
            radius += (layer.kernel_size[0] - 1) / 2 * jump
            jump *= layer.stride[0]
        elif isinstance(layer, nn.ConvTranspose2d):
            jump /= layer.stride[0]
            radius += (layer.kernel_size[0] - 1) * jump
        elif isinstance(layer, nn.Upsample):
            radius += jump if layer.mode == "bilinear" else jump / 2
            jump /= 2
    return math.ceil(radius)


def _spread(image: Field, multiple: int) -> Iterator[Tensor]:
    """(1, C, SIDE, SIDE) tiles on a grid over the picture, never the same place twice."""
    side_y, side_x = (
        min(SIDE, size // multiple * multiple) for size in (image.height, image.width)
    )
    down = max(
        1, min(image.height // side_y, round(math.sqrt(SAMPLED * image.height / image.width)))
    )
    across = max(1, min(image.width // side_x, SAMPLED // down))
    tops = np.linspace(0, image.height - side_y, down).round().astype(int)
    lefts = np.linspace(0, image.width - side_x, across).round().astype(int)
    for top in tops:
        band = image.rows(int(top), int(top) + side_y)
        for left in lefts:
            yield band[:, :, :, left : left + side_x]


def _gather(network: nn.Module, tiles: Tensor) -> dict[int, Statistics]:
    found: dict[int, Statistics] = {}

    def keep(place: int, x: Tensor) -> Statistics:
        found[place] = pooled(x)
        return found[place]

    with normed_by(network, keep):
        network(tiles)
    return found


def _apply(network: nn.Module, x: Tensor, statistics: dict[int, Statistics]) -> Tensor:
    rule: Callable[[int, Tensor], Statistics] = lambda place, _: statistics[place]  # noqa: E731
    with normed_by(network, rule):
        made: Tensor = network(x)
    return made
