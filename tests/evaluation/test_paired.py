import numpy as np
import pytest

from unpaired.evaluation.estimates import mean_estimate
from unpaired.evaluation.paired import absolute_errors


def test_errors_are_grey_levels_per_picture() -> None:
    truth = np.full((3, 4, 4, 3), 100, np.uint8)
    translated = truth.copy()
    translated[1] += 10
    translated[2, :2] -= 100
    assert absolute_errors(translated, truth).tolist() == [0, 10, 50]


def test_sixteen_bits_are_scaled_to_grey_levels() -> None:
    truth = np.zeros((1, 2, 2, 1), np.uint16)
    assert absolute_errors(truth + np.uint16(257), truth) == pytest.approx([1.0])


def test_pairs_that_differ_in_shape_or_type_are_refused() -> None:
    with pytest.raises(ValueError, match="alike"):
        absolute_errors(np.zeros((1, 2, 2, 1), np.uint8), np.zeros((1, 2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match="alike"):
        absolute_errors(np.zeros((1, 2, 2, 1), np.uint8), np.zeros((1, 2, 2, 1), np.uint16))


def test_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    covered = 0
    for i in range(200):
        sample = np.random.default_rng(i).exponential(10.0, 100)
        estimate = mean_estimate(sample, seed=i, resamples=400)
        covered += estimate.low < 10.0 < estimate.high
    assert 0.88 < covered / 200 < 0.99


def test_standard_error_is_that_of_the_mean() -> None:
    sample = np.random.default_rng(0).normal(50, 5, 400)
    estimate = mean_estimate(sample)
    assert estimate.value == sample.mean()
    assert estimate.error == pytest.approx(5 / 20, rel=0.15)
    with pytest.raises(ValueError, match="no pictures"):
        mean_estimate(np.zeros(0))
