"""What a translator has to beat: the best single change of colours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unpaired.data.decode import Pixels

Colours = NDArray[np.float64]
SMALLEST = 1e-6  # share of the largest variance below which a direction of colour counts as empty


@dataclass(frozen=True)
class ColourTransform:
    """One affine map of colours for all pictures, v -> A (v - mean_x) + mean_y.

    A is the symmetric positive map that carries the Gaussian with X's mean and covariance to Y's
    at the least mean squared change of colour (Monge-Kantorovich):
    A = S_x^(-1/2) (S_x^(1/2) S_y S_x^(1/2))^(1/2) S_x^(-1/2).

    It is fitted on unpaired pictures, like the translator, and sees no pair.

    Source: Pitié and Kokaram 2007, "The linear Monge-Kantorovitch linear colour mapping for
        example-based colour transfer"; Olkin and Pukelsheim 1982.
    """

    matrix: Colours
    mean_x: Colours
    mean_y: Colours

    @classmethod
    def fit(cls, x: Iterable[Pixels], y: Iterable[Pixels]) -> ColourTransform:
        """From unpaired pictures, each (H, W, C) with one C and one dtype for all.

        Raises: ValueError if a set is empty or the channels differ.
        """
        (mean_x, cov_x), (mean_y, cov_y) = _moments(x), _moments(y)
        if mean_x.shape != mean_y.shape:
            raise ValueError(f"channels differ: {len(mean_x)} and {len(mean_y)}")
        root, inverse = _power(cov_x, 0.5), _power(cov_x, -0.5)
        return cls(inverse @ _power(root @ cov_y @ root, 0.5) @ inverse, mean_x, mean_y)

    def __call__(self, pixels: Pixels) -> Pixels:
        """(..., C) integers -> the same shape and type, rounded and clipped to the type's range."""
        moved = (pixels.astype(np.float64) - self.mean_x) @ self.matrix.T + self.mean_y
        limits = np.iinfo(pixels.dtype)
        return np.clip(np.rint(moved), limits.min, limits.max).astype(pixels.dtype)


def _moments(pictures: Iterable[Pixels]) -> tuple[Colours, Colours]:
    """Mean (C,) and covariance (C, C) over all pixels, one picture at a time."""
    count, total, products = 0, np.zeros(0), np.zeros((0, 0))
    for picture in pictures:
        colours = picture.reshape(-1, picture.shape[-1]).astype(np.float64)
        if not count:
            total, products = np.zeros(colours.shape[1]), np.zeros((colours.shape[1],) * 2)
        count += len(colours)
        total = total + colours.sum(0)
        products = products + colours.T @ colours
    if not count:
        raise ValueError("no pictures to fit a colour transform on")
    mean = total / count
    return mean, products / count - np.outer(mean, mean)


def _power(covariance: Colours, exponent: float) -> Colours:
    """A symmetric power; directions without variance stay at 0 (a pseudo-inverse)."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    full = values > SMALLEST * max(values.max(), 1e-12)
    powers = np.where(full, np.where(full, values, 1.0) ** exponent, 0.0)
    result: Colours = vectors @ np.diag(powers) @ vectors.T
    return result
