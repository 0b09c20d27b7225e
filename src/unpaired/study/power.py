"""How many people it takes, before anybody is asked."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from unpaired.study.statistics import Counts, Numbers, intervals, newcombe

STUDIES = 2000
"""Made up per question: a chance of 80 % is then known to 2 %."""
MOST = 1000
SPREAD = 0.5
"""Standard deviation of people's rates, in logits, unless told otherwise."""


def power(
    rate_a: float,
    rate_b: float,
    people: int,
    trials: int,
    *,
    spread: float = SPREAD,
    seed: int = 0,
) -> float:
    """The chance that the 95% interval of the difference of two algorithms leaves out zero.

    Counted in made-up studies with different people for each algorithm.

    Args:
        rate_a, rate_b: fool rates of a middling person, between 0 and 1.
        people: per algorithm, 2 or more.
        trials: scored, per person.
    """
    rng = np.random.default_rng(seed)
    shares, ends = [], []
    for rate in (rate_a, rate_b):
        hits = answers(rate, spread, (STUDIES, people), trials, rng)
        all_trials = np.full_like(hits, trials)
        shares.append(hits.sum(-1) / (people * trials))
        ends.append(intervals(hits, all_trials))
    low, high = newcombe(shares[0], ends[0], shares[1], ends[1])
    return float(((low > 0) | (high < 0)).mean())


def people_needed(
    rate_a: float,
    rate_b: float,
    trials: int,
    wanted: float,
    *,
    spread: float = SPREAD,
    seed: int = 0,
) -> int | None:
    """The least number of people per algorithm that gives the wanted chance; None: over MOST."""

    def enough(people: int) -> bool:
        return power(rate_a, rate_b, people, trials, spread=spread, seed=seed) >= wanted

    low, high = 1, 2  # `low` never suffices
    while not enough(high):
        if high == MOST:
            return None
        low, high = high, min(MOST, 2 * high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def own_rates(
    rate: float, spread: float, shape: tuple[int, ...], rng: np.random.Generator
) -> Numbers:
    """People's own rates: `rate` in logits and each one's distance from it; 0 and 1 stay."""
    if rate in (0.0, 1.0):
        return np.full(shape, rate)
    return np.asarray(expit(logit(rate) + spread * rng.normal(size=shape)))


def answers(
    rate: float, spread: float, shape: tuple[int, ...], trials: int, rng: np.random.Generator
) -> Counts:
    """How many of `trials` answers count, per made-up person."""
    return np.asarray(rng.binomial(trials, own_rates(rate, spread, shape, rng)), np.int64)
