"""PNGs of 16 bits in colour or with alpha, of which Pillow alone would keep 8."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from unpaired.data.picture import Picture, Pixels

DEEP = ("RGB;16B", "RGBA;16B", "LA;16B")
"""What Pillow calls such data, the upper of two bytes first."""


def deep_colour(image: Any) -> str | None:
    """How the data of a PNG lie in it, if Pillow would cut them to 8 bits. Before it is loaded."""
    for tile in image.tile:
        if tile[3] in DEEP:
            return str(tile[3])
    return None


def read_deep(content: BinaryIO, image: Any) -> Picture:
    """Decode it, all bits kept; not turned upright.

    Pillow undoes the filters of the rows, which is what takes time, but keeps only the upper byte
    of each value. So the data are read twice, the second time as if the lower byte were the upper.

    Args: content: the file, at the PNG's start; image: opened from it, and loaded here.
    Raises: whatever Pillow raises on a bad file.
    """
    at, rawmode, key = content.tell(), deep_colour(image), image.info.get("transparency")
    assert rawmode
    mode = rawmode.split(";")[0]
    if mode == "LA":  # two values of two bytes, as if they were four of one
        four = _read(image, "RGBA", "RGBA").astype(np.uint16)
        both = four[:, :, ::2] << 8 | four[:, :, 1::2]
        return Picture(np.ascontiguousarray(both[:, :, :1]), np.ascontiguousarray(both[:, :, 1]))
    upper = _read(image, mode, f"{mode};16B").astype(np.uint16)
    content.seek(at)
    with Image.open(content, formats=("PNG",)) as again:
        values = upper << 8 | _read(again, mode, f"{mode};16L")
    if mode == "RGBA":
        colours = np.ascontiguousarray(values[:, :, :3])
        return Picture(colours, np.ascontiguousarray(values[:, :, 3]))
    if isinstance(key, tuple):  # one colour stands for nothing at all
        shown = (values != np.array(key, np.uint16)).any(axis=2)
        return Picture(values, shown.astype(np.uint16) * np.uint16(65535))
    return Picture(values)


def _read(image: Any, mode: str, rawmode: str) -> Pixels:
    """Load an opened PNG, its data taken for what `rawmode` says."""
    image.tile = [(*tile[:3], rawmode) for tile in image.tile]
    image._mode = mode
    image.info.pop("transparency", None)
    image.load()
    return np.asarray(image)
