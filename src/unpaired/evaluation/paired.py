"""Scores against the hidden true pair, where a data set has one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unpaired.data.decode import Pixels


def absolute_errors(translated: Pixels, truth: Pixels) -> NDArray[np.float64]:
    """The mean absolute difference of each picture from its true pair, in grey levels 0 to 255.

    Args: translated, truth: (N, H, W, C), both uint8 or both uint16; 16-bit differences are scaled
        to the 8-bit range.
    Returns: (N,).
    Raises: ValueError if shapes or types differ.
    """
    if translated.shape != truth.shape or translated.dtype != truth.dtype:
        raise ValueError(
            f"pairs must be alike, not {translated.shape} {translated.dtype} and "
            f"{truth.shape} {truth.dtype}"
        )
    scale = 255 / np.iinfo(truth.dtype).max
    difference = np.abs(translated.astype(np.float64) - truth.astype(np.float64))
    errors: NDArray[np.float64] = difference.mean(axis=(1, 2, 3)) * scale
    return errors
