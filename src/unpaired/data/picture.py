"""A decoded picture, and the files that can't become one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unpaired.data.units import Units

Pixels = NDArray[Any]
"""(H, W, C), uint8 or uint16."""

MAX_PIXELS = 1 << 28  # 268 million: 16384 x 16384; larger files are refused before they are decoded
MAX_BYTES = MAX_PIXELS * 8  # four channels of 16 bits; for TIFFs that have more channels
BAND = 1 << 20


class UnreadableImage(Exception):  # noqa: N818 - the file is at fault, not the program
    """A file that can't be decoded. `path` and `reason` (a few words) say which and why."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


@dataclass(frozen=True)
class Picture:
    """A decoded file: `pixels` (H, W, C), uint8 or uint16, and `alpha` (H, W) if it has one.

    Attributes:
        units: what uint16 levels stand for, in which they are written; None: for themselves.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    units: Units | None = None

    def on_white(self) -> Pixels:
        """The pixels composited on white; what training sees."""
        if self.alpha is None:
            return self.pixels
        top = np.iinfo(self.pixels.dtype).max
        made = np.empty_like(self.pixels)
        for rows in in_bands(self.pixels):
            share = self.alpha[rows, :, None].astype(np.float64) / top
            mixed = self.pixels[rows] * share + top * (1 - share)
            made[rows] = np.rint(mixed).astype(made.dtype)
        return made


def in_bands(pixels: Pixels) -> Iterator[slice]:
    """Rows that make a million pixels each, so that sums with them take little memory."""
    step = max(1, BAND // pixels.shape[1])
    for top in range(0, len(pixels), step):
        yield slice(top, top + step)


def check_size(path: Path, width: int, height: int) -> None:
    """Raises: UnreadableImage for a picture of no pixels, or of too many."""
    if width * height > MAX_PIXELS:
        raise UnreadableImage(path, f"{width} x {height} is over {MAX_PIXELS} pixels")
    if width <= 0 or height <= 0:
        raise UnreadableImage(path, "it has no pixels")


def oriented(values: Pixels, orientation: int) -> Pixels:
    """Apply the TIFF/EXIF orientation, 1 to 8; any other number means upright."""
    if orientation in (5, 6, 7, 8):
        values = values.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return values
