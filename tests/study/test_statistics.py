"""Rates and intervals against known answers, and against a bootstrap written out."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import binomtest

from unpaired.study.power import answers, people_needed, power
from unpaired.study.statistics import (
    Tally,
    difference,
    independent,
    interval,
    intervals,
    rate,
    two_level,
)


def tally(hits, trials) -> Tally:
    return Tally(np.array(hits), np.array(trials))


def test_answers_are_counted_by_person():
    found = Tally.of([(7, 1), (3, 0), (7, 0), (7, 1), (3, 1)])
    assert found.hits.tolist() == [1, 2]
    assert found.trials.tolist() == [2, 3]
    assert found.value == 0.6


def test_the_published_deviation_is_that_of_people_and_of_trials_within_them():
    """Written out trial by trial, as the paper's appendix says it."""
    people = [[1, 0, 0, 0], [1, 1, 1], [0, 0, 0, 0, 0], [1, 0], [1, 1, 0, 0, 0]]
    rng = np.random.default_rng(5)
    shares = []
    for _ in range(20_000):
        drawn = [people[i] for i in rng.integers(0, 5, 5)]
        trials = [own[j] for own in drawn for j in rng.integers(0, len(own), len(own))]
        shares.append(np.mean(trials))
    found = tally([sum(own) for own in people], [len(own) for own in people])
    ours = two_level(found, resamples=20_000)
    assert ours.std() == pytest.approx(np.std(shares), rel=0.03)
    assert ours.mean() == pytest.approx(np.mean(shares), abs=0.005)
    assert rate(found, resamples=20_000).deviation == ours.std()


def test_the_published_deviation_of_people_who_are_alike_is_twice_binomial_in_variance():
    """Between people who all have p there is p (1 - p) / n by chance, and within them once more."""
    rng = np.random.default_rng(0)
    found = tally(rng.binomial(40, 0.27, 400), np.full(400, 40))
    once = found.value * (1 - found.value) / (400 * 40)
    assert two_level(found).std() == pytest.approx(np.sqrt(2 * once), rel=0.1)


def test_trials_of_people_who_are_exactly_alike_count_as_independent():
    """Wilson's interval of all trials, but for Student's t."""
    many = 10_000
    found = tally(np.full(many, 1), np.full(many, 4))
    low, high = interval(found)
    known = binomtest(many, 4 * many).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((known.low, known.high), abs=1e-5)


def test_one_persons_trials_are_worth_little_more_than_one_trial():
    """All or nothing: each person is one coin, whatever the number of their trials."""
    few, many = (interval(tally(np.array([n, 0] * 15), np.full(30, n))) for n in (2, 200))
    assert few == pytest.approx(many)
    coins = interval(tally(np.array([1, 0] * 15), np.full(30, 1)))
    assert few == pytest.approx(coins)


def test_an_interval_by_hand():
    """Three people, 1, 2 and 6 of 10: p = .3, v = 3/2 (4 + 1 + 9) / 900, t = 4.3027."""
    n = 0.3 * 0.7 / (1.5 * 14 / 900)
    t = 4.302652729911275
    middle = (0.3 + t**2 / (2 * n)) / (1 + t**2 / n)
    half = t / (1 + t**2 / n) * np.sqrt(0.3 * 0.7 / n + t**2 / (4 * n**2))
    assert interval(tally([1, 2, 6], [10, 10, 10])) == pytest.approx((middle - half, middle + half))


def test_people_of_equal_shares_count_as_their_trials_whatever_rounding_says():
    """29 / 35 has no exact binary form: a deviation of 1e-16 must not make an interval of none."""
    found = interval(tally([29, 29], [35, 35]))
    t = 12.706204736432095
    p, n = 29 / 35, 70
    middle = (p + t**2 / (2 * n)) / (1 + t**2 / n)
    half = t / (1 + t**2 / n) * np.sqrt(p * (1 - p) / n + t**2 / (4 * n**2))
    assert found == pytest.approx((middle - half, middle + half))


def test_of_one_person_nothing_is_known_about_others():
    assert interval(tally([3], [40])) == (0.0, 1.0)


def test_nobody_fooled_is_not_certainty():
    low, high = interval(tally(np.zeros(25, int), np.full(25, 40)))
    assert low == 0
    assert 0.001 < high < 0.01


def test_independent_answers_have_wilsons_interval():
    known = binomtest(3, 11).proportion_ci(method="wilson")
    assert independent(3, 11) == pytest.approx((known.low, known.high))


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 60)), min_size=1, max_size=30),
)
@example([(29, 35), (29, 35)])
def test_a_rate_lies_within_its_interval_and_the_other_answer_mirrors_it(people):
    trials = [max(pair) for pair in people]
    hits = [min(pair) for pair in people]
    found = rate(tally(hits, trials), resamples=50)
    assert 0 <= found.low <= found.value <= found.high <= 1
    other = rate(tally(np.subtract(trials, hits), trials), resamples=50)
    assert (1 - other.high, 1 - other.low) == pytest.approx((found.low, found.high), abs=1e-9)


def test_many_studies_at_once_are_as_one_by_one():
    rng = np.random.default_rng(1)
    hits, trials = rng.binomial(20, 0.3, (5, 12)), np.full((5, 12), 20)
    low, high = intervals(hits, trials)
    assert [interval(tally(hits[i], trials[i])) for i in range(5)] == list(zip(low, high))


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5])
def test_95_of_100_intervals_hold_the_truth(share):
    """A short form of benchmarks/study_coverage.py."""
    rng = np.random.default_rng(2)
    hits = answers(share, 0.0, (4000, 25), 40, rng)
    low, high = intervals(hits, np.full_like(hits, 40))
    assert 0.935 <= ((low <= share) & (share <= high)).mean() <= 0.965


def test_the_difference_of_two_algorithms():
    a, b = tally([4, 5, 6, 7, 5] * 5, [10] * 25), tally([1, 2, 3, 2, 2] * 5, [10] * 25)
    found = difference(a, b)
    assert found.value == pytest.approx(0.34)
    assert 0 < found.low < 0.34 < found.high < 1
    assert found.better == 1.0
    back = difference(b, a)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))
    alike = difference(a, a)
    assert alike.low == pytest.approx(-alike.high)
    assert alike.better == pytest.approx(0.5, abs=0.02)
    assert difference(a, tally([], [])) is None


def test_power_of_no_difference_is_the_error_rate_and_grows_with_people():
    assert power(0.3, 0.3, 25, 40) == pytest.approx(0.05, abs=0.025)
    chances = [power(0.2, 0.3, people, 40) for people in (5, 15, 50)]
    assert chances == sorted(chances)
    assert chances[-1] > 0.95
    assert power(0.2, 0.3, 20, 40) == pytest.approx(power(0.3, 0.2, 20, 40), abs=0.06)


def test_people_needed_is_the_least_number_that_suffices():
    needed = people_needed(0.2, 0.35, 40, 0.8)
    assert power(0.2, 0.35, needed, 40) >= 0.8
    assert power(0.2, 0.35, needed - 1, 40) < 0.8
    assert people_needed(0.30, 0.301, 40, 0.8) is None


def test_people_differ_as_much_as_they_are_said_to():
    rng = np.random.default_rng(3)
    alike, unlike = (answers(0.3, s, (200_000,), 40, rng) / 40 for s in (0.0, 1.0))
    assert alike.var() == pytest.approx(0.3 * 0.7 / 40, rel=0.02)
    assert unlike.var() > 5 * alike.var()
    assert answers(0.0, 1.0, (3,), 40, rng).tolist() == [0, 0, 0]
