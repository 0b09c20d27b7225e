"""Values of any type and range as the 65,536 levels that everything above sees, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unpaired.data.picture import Picture, Pixels, in_bands
from unpaired.data.units import LEVELS, Span, Units


class NotFiniteError(ValueError):
    """Values that are nan or inf."""


def to_levels(values: Pixels, span: Span) -> NDArray[np.uint16]:
    """(H, W, C) of any type -> uint16: `span` becomes 0 to 65535, what lies beyond is clipped.

    A level is (high - low) / 65535 in the values' units.

    Raises: NotFiniteError.
    """
    low, high = span
    made = np.empty(values.shape, np.uint16)
    for rows in in_bands(values):
        band = values[rows].astype(np.float64)
        if values.dtype.kind == "f" and not np.isfinite(band).all():
            raise NotFiniteError("it holds nan or inf; give the places without a value a number")
        place = (np.clip(band, low, high) - low) * (LEVELS / (high - low))
        made[rows] = np.rint(np.clip(place, 0, LEVELS))
    return made


def from_levels(levels: Pixels, units: Units) -> Pixels:
    """uint16 -> the units' type; integers are rounded to nearest."""
    made = np.empty(levels.shape, units.dtype)
    for rows in in_bands(levels):
        share = levels[rows].astype(np.float64) / LEVELS
        values = units.low * (1 - share) + units.high * share  # the ends are met exactly
        if made.dtype.kind in "iu":
            values = np.rint(values)
        limits = np.iinfo(made.dtype) if made.dtype.kind in "iu" else np.finfo(made.dtype)
        made[rows] = np.clip(values, float(limits.min), float(limits.max))
    return made


def in_levels(picture: Picture, span: Span) -> Picture:
    """A picture as it was stored, in levels. Raises: NotFiniteError."""
    alpha = picture.alpha
    if alpha is not None:
        alpha = to_levels(alpha[:, :, None], _opacity(alpha.dtype))[:, :, 0]
    return Picture(to_levels(picture.pixels, span), alpha)


def in_units(picture: Picture) -> Picture:
    """A picture as it is stored: levels in their units, where it has any."""
    units, alpha = picture.units, picture.alpha
    if units is None:
        return picture
    if alpha is not None:
        opacity = Units(*_opacity(np.dtype(units.dtype)), units.dtype)
        alpha = from_levels(alpha[:, :, None], opacity)[:, :, 0]
    return Picture(from_levels(picture.pixels, units), alpha)


def _opacity(dtype: np.dtype[Any]) -> Span:
    """Of alpha, whatever the other values mean: 0 to the type's largest; of floats, to 1."""
    return (0.0, 1.0) if dtype.kind == "f" else (0.0, float(np.iinfo(dtype).max))
