"""How much a film flickers that shouldn't."""

from __future__ import annotations

import numpy as np

from unpaired.data.decode import Pixels

STILL = 2
"""Grey levels of 255 by which a pixel of the source may change and still count as still."""
CUT = 30.0
"""Mean change of a frame in grey levels beyond which another scene begins."""
COARSE = 8
"""A cut is looked for in every eighth pixel of every eighth row."""


class Flicker:
    """Mean absolute change of the translation, frame to frame, where the source stands still.

    In grey levels of 255, over all pixels that change by at most STILL in every channel of the
    source; from scene to scene nothing is compared. A perfect translation of a still scene has 0.
    """

    def __init__(self) -> None:
        self.sum = 0.0
        self.pixels = 0
        self.source: Pixels | None = None
        self.made: Pixels | None = None

    def add(self, source: Pixels, made: Pixels) -> None:
        """The next frame and its translation, (H, W, C) uint8."""
        if self.source is not None and self.made is not None and not is_cut(self.source, source):
            still = np.abs(source.astype(np.int16) - self.source).max(2) <= STILL
            change = np.abs(made.astype(np.int16) - self.made).mean(2)
            self.sum += float(change[still].sum())
            self.pixels += int(still.sum())
        self.source, self.made = source, made

    @property
    def value(self) -> float | None:
        """None if nothing ever stood still."""
        return self.sum / self.pixels if self.pixels else None


def is_cut(before: Pixels, after: Pixels) -> bool:
    """Whether another scene begins: most of the picture is another."""
    a, b = (frame[::COARSE, ::COARSE].astype(np.int16) for frame in (before, after))
    return a.shape != b.shape or float(np.abs(a - b).mean()) > CUT
