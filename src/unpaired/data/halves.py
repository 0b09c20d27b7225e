"""Pictures side by side in one file: the left half belongs to X, the right half to Y."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from unpaired.data.decode import Pixels, UnreadableImage

Half = Literal["left", "right"]


def need_two_halves(path: Path, width: int, height: int) -> None:
    """Refuse what can't be two pictures side by side: odd widths, and files not wider than tall.

    Raises: UnreadableImage.
    """
    if width % 2:
        raise UnreadableImage(path, f"{width} pixels wide: an odd width has no two equal halves")
    if width <= height:
        raise UnreadableImage(
            path, f"{width} x {height} pixels: not two pictures side by side, for it isn't wide"
        )


def half_of(path: Path, pixels: Pixels, half: Half) -> Pixels:
    """One half of (H, 2 W, C), as (H, W, C).

    Raises: UnreadableImage, as `need_two_halves` does.
    """
    height, width = pixels.shape[:2]
    need_two_halves(path, width, height)
    middle = width // 2
    return pixels[:, :middle] if half == "left" else pixels[:, middle:]
