"""A picture as what a network is given."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from unpaired.data.conversions import to_unit, with_channels
from unpaired.translation.tiling.sources import Source


class Image:
    """A source as the first field of a network: in [-1, 1], padded by reflection at its right and
    lower edge to what the network needs."""

    work = 0.0
    parents = ()

    def __init__(
        self,
        source: Source,
        channels: int,
        pad: tuple[int, int],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        """Args: pad: rows and columns to add."""
        self.source, self.channels = source, channels
        self.height, self.width = source.height + pad[0], source.width + pad[1]
        self.dtype, self.device = dtype, device

    def rows(self, top: int, bottom: int) -> Tensor:
        """(1, C, bottom - top, W)."""
        places = mirrored(np.arange(top, bottom), self.source.height)
        first = int(places.min())
        picture = self.source.rows(first, int(places.max()) + 1)
        unit = to_unit(with_channels(picture.on_white(), self.channels))
        columns = mirrored(np.arange(self.width), self.source.width)
        if bottom > self.source.height:
            unit = unit[places - first]
        if self.width > self.source.width:
            unit = unit[:, columns]
        held = torch.from_numpy(np.ascontiguousarray(unit)).permute(2, 0, 1)[None]
        return held.to(self.device, self.dtype)


def mirrored(places: np.ndarray, size: int) -> np.ndarray:
    """Places beyond the edges brought back, as `np.pad(mode="reflect")` does, however far out."""
    if size == 1:
        return np.zeros_like(places)
    turn = 2 * (size - 1)
    places = places % turn
    return np.minimum(places, turn - places)
