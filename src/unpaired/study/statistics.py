"""What answers say of people in general: rates with their uncertainty, and who is better.

Participants are the sample. Each has a rate of their own, so trials of one person are not as good
as trials of many: every interval here takes people, not trials, as what was drawn at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

RESAMPLES = 10_000
FEW = 15
"""People below which an interval leans on too few to be trusted."""
CHUNK = 1_000_000  # draws held at a time

Counts = NDArray[np.int64]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Tally:
    """Answers of some people: how many were of the kind that is counted, and how many in all."""

    hits: Counts
    """(people,): answers that count, such as generated pictures taken for real."""
    trials: Counts
    """(people,): answers; each 1 or more."""

    @classmethod
    def of(cls, answers: Sequence[tuple[int, int]]) -> Tally:
        """From (person, 0 or 1) per answer."""
        people = sorted({person for person, _ in answers})
        place = {person: i for i, person in enumerate(people)}
        hits, trials = np.zeros(len(people), np.int64), np.zeros(len(people), np.int64)
        for person, hit in answers:
            hits[place[person]] += hit
            trials[place[person]] += 1
        return cls(hits, trials)

    @property
    def people(self) -> int:
        """How many took part."""
        return len(self.trials)

    @property
    def value(self) -> float:
        """The share of all answers."""
        return float(self.hits.sum() / self.trials.sum())


@dataclass(frozen=True)
class Rate:
    """A share of answers, from 0 to 1."""

    value: float
    deviation: float
    """What Zhu et al. 2017 print after their plus-minus: see `two_level`."""
    low: float
    high: float
    """The 95% interval: see `interval`."""
    people: int
    trials: int


def rate(tally: Tally, *, seed: int = 0, resamples: int = RESAMPLES) -> Rate | None:
    """The share with both uncertainties; None if nobody answered."""
    if tally.people == 0:
        return None
    low, high = interval(tally)
    drawn = two_level(tally, seed=seed, resamples=resamples)
    return Rate(tally.value, float(drawn.std()), low, high, tally.people, int(tally.trials.sum()))


def two_level(tally: Tally, *, seed: int = 0, resamples: int = RESAMPLES) -> Numbers:
    """(resamples,): the share in bootstrap samples of people, and of trials within each of them.

    Their standard deviation is the published plus-minus (Zhu et al. 2017, appendix 7.1). It counts
    the chance within people twice, so it is somewhat larger than a standard error. Trials of one
    person drawn with replacement are a binomial count, and are drawn as such.
    """
    rng = np.random.default_rng([seed, tally.people])
    own = tally.hits / tally.trials
    shares = np.empty(resamples)
    rows = max(1, CHUNK // tally.people)
    for start in range(0, resamples, rows):
        size = (min(rows, resamples - start), tally.people)
        drawn = rng.integers(0, tally.people, size)
        trials = tally.trials[drawn]
        hits = rng.binomial(trials, own[drawn])
        shares[start : start + size[0]] = hits.sum(1) / trials.sum(1)
    return shares


def interval(tally: Tally) -> tuple[float, float]:
    """The 95% interval of the share among all people like these; of one person, (0, 1)."""
    low, high = intervals(tally.hits, tally.trials)
    return float(low), float(high)


def intervals(hits: Counts, trials: Counts) -> tuple[Numbers, Numbers]:
    """(..., people) answers that count, and all -> both ends of the 95% interval, (...).

    Wilson's score interval (1927) with the number of trials that would be worth as much if they
    were independent: n = p (1 - p) / v, where v is the variance of a ratio of sums over people
    (Cochran, Sampling Techniques, chapter 6); and with Student's t of people - 1 degrees of freedom
    in place of the normal's quantile. If all people have the very same share, trials count as
    independent. One person tells nothing of others: (0, 1).
    """
    people = hits.shape[-1]
    if people == 1:
        return np.zeros(hits.shape[:-1]), np.ones(hits.shape[:-1])
    count, hit = trials.sum(-1), hits.sum(-1)
    p = hit / count
    # in whole numbers until here: rounding would make equal shares differ, by next to nothing
    off = (hits * count[..., None] - hit[..., None] * trials) / count[..., None]
    v = people / (people - 1) * (off**2).sum(-1) / count**2
    differ = v > 0
    n = np.where(differ, p * (1 - p) / np.where(differ, v, 1), count)
    return _wilson(p, n, float(stdtrit(people - 1, 0.975)))


def independent(hits: int, trials: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share of answers that are each of another person."""
    low, high = _wilson(np.array(hits / trials), np.array(float(trials)), float(ndtri(0.975)))
    return float(low), float(high)


def _wilson(p: Numbers, n: Numbers, z: float) -> tuple[Numbers, Numbers]:
    wide = 1 + z * z / n
    middle = (p + z * z / (2 * n)) / wide
    half = z * np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2) / wide
    return np.clip(middle - half, 0, p), np.clip(middle + half, p, 1)  # p: but for rounding


def newcombe(
    a: Numbers, ends_a: tuple[Numbers, Numbers], b: Numbers, ends_b: tuple[Numbers, Numbers]
) -> tuple[Numbers, Numbers]:
    """The interval of a difference a - b from both shares' own (Newcombe 1998, method 10)."""
    down = np.hypot(a - ends_a[0], ends_b[1] - b)
    up = np.hypot(ends_a[1] - a, b - ends_b[0])
    return a - b - down, a - b + up


@dataclass(frozen=True)
class Difference:
    """Of two algorithms' shares, A's less B's."""

    value: float
    low: float
    high: float
    """The 95% interval."""
    better: float
    """How probable it is that A's share is the higher one, in the bootstrap; ties count half."""


def difference(
    a: Tally, b: Tally, *, seed: int = 0, resamples: int = RESAMPLES
) -> Difference | None:
    """Of two groups of different people; None if one is empty."""
    if a.people == 0 or b.people == 0:
        return None
    ends = [intervals(one.hits, one.trials) for one in (a, b)]
    low, high = newcombe(np.array(a.value), ends[0], np.array(b.value), ends[1])
    drawn_a = two_level(a, seed=seed, resamples=resamples)
    drawn_b = two_level(b, seed=seed + 1, resamples=resamples)
    better = float((drawn_a > drawn_b).mean() + (drawn_a == drawn_b).mean() / 2)
    return Difference(a.value - b.value, float(low), float(high), better)
