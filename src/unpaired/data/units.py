"""What the values of a domain's files mean: their range and type."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from unpaired.errors import UserError

Span = tuple[float, float]
"""The values that stand for -1 and 1; what lies beyond is clipped."""
LEVELS = 65535
PLAIN = ("uint8", "uint16")
"""Types that need no range: theirs is 0 to the largest."""
WRITTEN = (*PLAIN, "int8", "int16", "int32", "uint32", "float32", "float64")
"""What OME-TIFF knows, and so what translations are written in."""
TYPES = (*WRITTEN, "float16")
"""What can be read with a range."""


@dataclass(frozen=True)
class Units:
    """What a domain's levels stand for: 0 is `low`, 65535 is `high`, linearly between.

    Attributes:
        dtype: of the domain's files, one of WRITTEN; its translations are written in it.
    """

    low: float
    high: float
    dtype: str

    def __post_init__(self) -> None:
        if self.dtype not in WRITTEN or not is_span((self.low, self.high)):
            raise ValueError(f"units {self.low} to {self.high}, {self.dtype}")

    @property
    def span(self) -> Span:
        return self.low, self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}, {self.dtype}"


def is_span(span: Span) -> bool:
    """Whether there is anything between two finite numbers."""
    low, high = span
    return low < high and math.isfinite(high - low)


def units_of(span: Span | None, dtypes: Collection[str], domain: str) -> Units | None:
    """The units of a domain whose files have these types; None: its range is that of its type.

    Args: span: None: none was given; domain: "x" or "y", for messages.
    Raises: UserError if the range reaches beyond what the files can hold.
    """
    if span is None or not dtypes:
        return None
    low, high = span
    if tuple(dtypes) in (("uint8",), ("uint16",)) and span == (0, np.iinfo(*dtypes).max):
        return None
    dtype = str(np.result_type(*dtypes))
    limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else np.finfo(dtype)
    if low < float(limits.min) or high > float(limits.max):
        option = f"--images.range{'-y' if domain == 'y' else ''}"
        counts = "" if domain == "x" else "; without it --images.range counts for Y too"
        raise UserError(
            f"{option} is {low:g} to {high:g}, but the files of domain {domain.upper()} are "
            f"{dtype}, {limits.min} to {limits.max}; give what they use{counts}"
        )
    wider = {"float16": "float32"}.get(dtype, dtype)
    return Units(low, high, wider if wider in WRITTEN else "float64")
