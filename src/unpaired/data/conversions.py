"""Pixels between grey and colour, 8 and 16 bits, and the [-1, 1] that networks see."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unpaired.data.picture import Pixels, in_bands
from unpaired.errors import UserError

LUMA = np.array([299, 587, 114], dtype=np.uint32)  # ITU-R 601, as Pillow converts to grey


def with_channels(pixels: Pixels, channels: int) -> Pixels:
    """Convert between grey and RGB: one channel is repeated, three become ITU-R 601 luma.

    Raises: UserError for any other change, which nobody could guess.
    """
    have = pixels.shape[2]
    if have == channels:
        return pixels
    if have == 1 and channels == 3:
        return pixels.repeat(3, axis=2)
    if have == 3 and channels == 1:
        luma = np.empty((*pixels.shape[:2], 1), pixels.dtype)
        for rows in in_bands(pixels):
            luma[rows, :, 0] = (pixels[rows].astype(np.uint32) @ LUMA + 500) // 1000
        return luma
    raise UserError(f"an image has {have} channels where {channels} are expected; convert it first")


def with_dtype(pixels: Pixels, dtype: str) -> Pixels:
    """Convert between uint8 and uint16 so that the whole range stays the whole range."""
    if str(pixels.dtype) == dtype:
        return pixels
    if dtype == "uint16":
        return pixels.astype(np.uint16) * 257
    made = np.empty(pixels.shape, np.uint8)
    for rows in in_bands(pixels):
        made[rows] = (pixels[rows].astype(np.uint32) + 128) // 257
    return made


def to_unit(pixels: Pixels) -> NDArray[np.float32]:
    """uint8 or uint16 -> float32 in [-1, 1]: 0 is -1, the type's largest value is 1."""
    half = np.float32(np.iinfo(pixels.dtype).max / 2)
    values = pixels.astype(np.float32)
    values /= half
    values -= np.float32(1)
    return values


def from_unit(values: NDArray[Any], dtype: str) -> Pixels:
    """float in [-1, 1] -> uint8 or uint16, rounded to nearest; beyond the range is clipped."""
    top = np.iinfo(dtype).max
    scaled = (values.astype(np.float64) + 1) * (top / 2)
    return np.clip(np.rint(scaled), 0, top).astype(dtype)
