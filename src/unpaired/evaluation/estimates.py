"""A number with its uncertainty from the finite number of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

RESAMPLES = 1000

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty from the finite number of pictures."""

    value: float
    low: float
    """Lower end of the 95% interval."""
    high: float
    """Upper end of the 95% interval."""
    error: float
    """Standard error; of a mean over seeds, their standard deviation."""


def draws(count: int, seed: int = 0, resamples: int = RESAMPLES) -> Numbers:
    """(resamples, count): how often each of `count` pictures is drawn in each bootstrap sample.

    The same for the same count and seed, so that two methods' figures on the same pictures are
    resampled together.
    """
    rng = np.random.default_rng([seed, count])
    times = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    return times.astype(np.float64)


def estimate(value: float, resampled: Numbers) -> Estimate:
    """A value with the spread of its bootstrap samples; those that are not finite are left out."""
    finite = resampled[np.isfinite(resampled)]
    low, high = np.quantile(finite, (0.025, 0.975))
    return Estimate(float(value), float(low), float(high), float(finite.std(ddof=1)))


def mean_estimate(values: Numbers, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """The mean of one number per picture, with a bootstrap over the pictures.

    Raises: ValueError if there are none.
    """
    if len(values) == 0:
        raise ValueError("no pictures to take a mean over")
    weights = draws(len(values), seed, resamples)
    return estimate(float(values.mean()), weights @ values / len(values))


def student_estimate(values: Sequence[float]) -> Estimate:
    """The mean of one number per training run, with Student's 95% interval, which is wide for few.

    `error` is the deviation of the numbers.

    Raises: ValueError for fewer than two.
    """
    if len(values) < 2:
        raise ValueError("one number has no interval; give two or more")
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stdtrit(len(values) - 1, 0.975)) * deviation / len(values) ** 0.5
    return Estimate(mean, mean - half, mean + half, deviation)
