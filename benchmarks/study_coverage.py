"""How often the 95% intervals of made-up studies hold the true rate: `python -m
benchmarks.study_coverage`.

The true rate is the mean over all people who could have taken part, not the middling one's.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.special import expit
from scipy.special import logit as logits

from unpaired.study.statistics import intervals, newcombe

LAPSES = 0.02
RATES = (0.02, 0.05, 0.10, 0.27, 0.50)
SPREADS = (0.0, 0.5, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--people", type=int, default=25)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    shape = (given.studies, given.people)
    print(
        f"{given.studies} studies of {given.people} people x {given.trials} trials, {LAPSES:.0%} "
        "lapses; % of 95% intervals that hold the true rate, and their mean width in points"
    )
    print(f"{'true rate':>10}" + "".join(f"{f'spread {s:g} logits':>22}" for s in SPREADS))
    for rate in RATES:
        cells = []
        for spread in SPREADS:
            middling = middling_logit(rate, spread)
            own = people_rates(middling, spread, shape, rng)
            hits = rng.binomial(given.trials, own)
            low, high = intervals(hits, np.full_like(hits, given.trials))
            held = ((low <= rate) & (rate <= high)).mean()
            cells.append(f"{100 * held:.1f} ({100 * (high - low).mean():.1f})")
        print(f"{rate:>10.0%}" + "".join(f"{cell:>22}" for cell in cells))
    print("differences of two algorithms, spread 0.5 logits:")
    for a, b in ((0.05, 0.10), (0.20, 0.30), (0.27, 0.27)):
        shares, ends = [], []
        for rate in (a, b):
            own = people_rates(middling_logit(rate, 0.5), 0.5, shape, rng)
            hits = rng.binomial(given.trials, own)
            trials = np.full_like(hits, given.trials)
            shares.append(hits.sum(-1) / trials.sum(-1))
            ends.append(intervals(hits, trials))
        low, high = newcombe(shares[0], ends[0], shares[1], ends[1])
        held = ((low <= a - b) & (a - b <= high)).mean()
        print(f"{a:>10.0%} less {b:.0%}: {100 * held:.1f}")


def people_rates(
    middling: float, spread: float, shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """What share of their answers is wrong, per person, blind answers and all."""
    return (1 - LAPSES) * expit(middling + spread * rng.normal(size=shape)) + LAPSES / 2


def middling_logit(rate: float, spread: float) -> float:
    """The logit of the middling person for which the mean over people is `rate`."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    low, high = -20.0, 20.0
    for _ in range(80):
        middle = (low + high) / 2
        mean = weights @ expit(middle + spread * nodes) / weights.sum()
        low, high = (middle, high) if (1 - LAPSES) * mean + LAPSES / 2 < rate else (low, middle)
    if spread == 0:
        assert np.isclose(middle, logits((rate - LAPSES / 2) / (1 - LAPSES)))
    return middle


if __name__ == "__main__":
    main()
