import itertools

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

from unpaired.errors import UserError
from unpaired.evaluation.distances import (
    fid,
    fid_estimate,
    fid_least,
    kid,
    kid_estimate,
    precision_recall,
    precision_recall_estimates,
)
from unpaired.evaluation.estimates import Estimate


def gaussian(
    seed: int, count: int, shift: float = 0.0, dims: int = 16, scale: float = 1.0
) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, scale, (count, dims))


def mixed(seed: int, count: int, shift: float = 0.0, dims: int = 16) -> np.ndarray:
    """Vectors as of a network: positive, correlated, of very different spreads."""
    mixing = np.random.default_rng(99).normal(size=(dims, dims)) * np.geomspace(1, 0.01, dims)
    return np.maximum(gaussian(seed, count, shift, dims) @ mixing.T + 0.5, 0)


def covered(truth: float, estimates: list[Estimate]) -> float:
    return float(np.mean([e.low <= truth <= e.high for e in estimates]))


# -- KID -----------------------------------------------------------------------------------------


def test_kid_equals_torchmetrics_and_torch_fidelity_on_the_whole_sets() -> None:
    a, b = mixed(0, 40), mixed(1, 40, 0.3)
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    assert kid(a, b) == pytest.approx(float(poly_mmd(x, y)), rel=1e-9)
    theirs = kid_features_to_metric(x, y, kid_subsets=1, kid_subset_size=40, verbose=False)
    assert kid(a, b) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)


def test_kid_equals_the_sum_over_pairs_written_out() -> None:
    a, b = gaussian(0, 5), gaussian(1, 7, 0.5)

    def k(p: np.ndarray, q: np.ndarray) -> float:
        return (float(p @ q) / len(p) + 1) ** 3

    aa = np.mean([k(a[i], a[j]) for i in range(5) for j in range(5) if i != j])
    bb = np.mean([k(b[i], b[j]) for i in range(7) for j in range(7) if i != j])
    ab = np.mean([k(p, q) for p in a for q in b])
    assert kid(a, b) == pytest.approx(aa + bb - 2 * ab)


def test_kid_of_two_samples_of_one_distribution_is_zero_on_average() -> None:
    values = [kid(gaussian(2 * i, 60), gaussian(2 * i + 1, 60)) for i in range(100)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 10


def test_kid_of_shifted_gaussians_is_the_closed_form() -> None:
    # With z = a.b / d: E[(z + 1)^3] for independent N(s, I), N(t, I) in d dimensions.
    d, s, n = 16, 0.5, 4000

    def expected(p: float, q: float) -> float:
        mean = p * q
        variance = (1 + p * p + q * q) / d
        third = 6 * p * q / d**2
        m2 = variance + mean**2
        m3 = third + 3 * mean * variance + mean**3
        return m3 + 3 * m2 + 3 * mean + 1

    truth = expected(0, 0) + expected(s, s) - 2 * expected(0, s)
    estimate = kid_estimate(gaussian(0, n, 0.0, d), gaussian(1, n, s, d), resamples=200)
    assert abs(estimate.value - truth) < 3 * estimate.error
    assert estimate.error < 0.05 * truth


def test_kid_grows_with_the_distance_of_the_sets() -> None:
    values = [kid(gaussian(0, 200), gaussian(1, 200, shift)) for shift in (0.0, 0.3, 1.0, 3.0)]
    assert values == sorted(values)
    assert values[0] < 0.02 < 1 < values[-1]


def test_standard_error_is_the_spread_over_fresh_samples() -> None:
    fresh = [kid(gaussian(2 * i, 80), gaussian(2 * i + 1, 80, 0.4)) for i in range(200)]
    errors = [
        kid_estimate(gaussian(2 * i, 80), gaussian(2 * i + 1, 80, 0.4), resamples=200).error
        for i in range(20)
    ]
    assert np.mean(errors) == pytest.approx(np.std(fresh), rel=0.2)


def test_bootstrap_is_centred_on_the_estimate_and_repeats() -> None:
    a, b = gaussian(0, 100), gaussian(1, 100, 0.4)
    one, two = kid_estimate(a, b), kid_estimate(a, b)
    assert one == two
    assert abs((one.low + one.high) / 2 - one.value) < one.error


def test_kid_intervals_cover_the_truth() -> None:
    truth = np.mean([kid(gaussian(i, 60, 0.3), gaussian(i + 10**6, 60)) for i in range(2000)])
    found = [
        kid_estimate(gaussian(10**7 + i, 60, 0.3), gaussian(2 * 10**7 + i, 60), resamples=300)
        for i in range(200)
    ]
    assert 0.92 <= covered(float(truth), found) <= 0.99


# -- FID -----------------------------------------------------------------------------------------


def test_fid_equals_torchmetrics_and_torch_fidelity() -> None:
    a, b = mixed(0, 90), mixed(1, 70, 0.3)
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    theirs = _compute_fid(x.mean(0), torch.cov(x.T), y.mean(0), torch.cov(y.T))
    assert fid(a, b) == pytest.approx(float(theirs), rel=1e-6)
    one, two = fid_features_to_statistics(x), fid_features_to_statistics(y)
    theirs = fid_statistics_to_metric(one, two, False)["frechet_inception_distance"]
    assert fid(a, b) == pytest.approx(theirs, rel=1e-6)


def test_fid_of_gaussians_is_the_closed_form() -> None:
    # same axes: |m_a - m_b|^2 + sum (s_a - s_b)^2; the axes turned, both ways alike
    spreads = np.array([2.0, 1.0, 0.5, 0.1])
    shift = np.array([0.3, -0.2, 0.0, 0.1])
    turn, _ = np.linalg.qr(gaussian(5, 4, dims=4))
    a = gaussian(0, 200_000, dims=4) * spreads @ turn
    b = (gaussian(1, 200_000, dims=4) * spreads[::-1] + shift) @ turn
    truth = (shift**2).sum() + ((spreads - spreads[::-1]) ** 2).sum()
    assert fid(a, b) == pytest.approx(truth, rel=0.01)


def test_fid_of_a_set_with_itself_is_zero_and_moving_it_adds_the_square_of_the_way() -> None:
    a = mixed(0, 60)
    assert fid(a, a) == pytest.approx(0, abs=1e-5)
    assert fid(a, a + 0.5) == pytest.approx(16 * 0.25, rel=1e-5)
    assert fid(a, mixed(1, 80)) == pytest.approx(fid(mixed(1, 80), a), rel=1e-6)


def test_fid_of_too_few_pictures_is_refused_and_kid_advised() -> None:
    a = gaussian(0, 16)
    assert fid_least(a) == 16
    assert fid(a, gaussian(1, 16)) > 0
    for few, many in ((a[:15], a), (a, a[:15])):
        with pytest.raises(UserError, match=r"FID of 15 pictures .* needs 16 or more .* read KID"):
            fid_estimate(few, many)


def test_fid_falls_with_the_number_of_pictures_and_kid_does_not() -> None:
    counts = (20, 40, 80, 320)
    pairs = {n: [(gaussian(i, n), gaussian(i + 10**6, n)) for i in range(60)] for n in counts}
    means = [np.mean([fid(a, b) for a, b in pairs[n]]) for n in counts]
    assert all(fewer > 1.5 * more for fewer, more in itertools.pairwise(means))
    values = [kid(a, b) for a, b in pairs[20]]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(60)


@pytest.mark.parametrize(("count", "shift"), [(100, 0.5), (24, 0.5), (16, 0.5)])
def test_fid_intervals_cover_what_is_expected_of_as_many_pictures(count: int, shift: float) -> None:
    def sets(i: int) -> tuple[np.ndarray, np.ndarray]:
        return gaussian(i, count, shift), gaussian(i + 10**6, count)

    truth = np.mean([fid(*sets(i)) for i in range(1000)])
    found = [fid_estimate(*sets(10**7 + i)) for i in range(200)]
    assert covered(float(truth), found) >= 0.92
    spread = np.std([e.value for e in found])
    assert 0.85 < np.mean([e.error for e in found]) / spread < 1.4


def test_a_bootstrap_of_fid_would_miss() -> None:
    # the reason for the jackknife: resampled distances lie above the one that they should surround
    a, b = gaussian(0, 50, 0.3), gaussian(1, 50)
    rng = np.random.default_rng(0)
    resampled = [fid(a[rng.integers(50, size=50)], b[rng.integers(50, size=50)]) for _ in range(99)]
    assert np.quantile(resampled, 0.05) > fid(a, b)


def test_fid_interval_does_not_fall_below_zero() -> None:
    a = gaussian(0, 30)
    found = fid_estimate(a, a + 1e-4)
    assert 0 <= found.low <= found.value + 1e-12 <= found.high + 1e-12


# -- precision and recall ------------------------------------------------------------------------


def test_precision_and_recall_equal_torch_fidelity() -> None:
    a, b = mixed(0, 70, 0.4), mixed(1, 90)
    theirs = prc_features_to_metric(
        torch.from_numpy(a),
        torch.from_numpy(b),
        prc_neighborhood=3,
        prc_batch_size=1000,
        save_cpu_ram=False,
        verbose=False,
    )
    precise, recalled = precision_recall(a, b)
    assert 0.05 < precise.mean() < 0.95
    assert 0.05 < recalled.mean() < 0.95
    assert precise.mean() == pytest.approx(theirs["precision"])
    assert recalled.mean() == pytest.approx(theirs["recall"])


def test_precision_and_recall_of_equal_disjoint_and_nested_sets() -> None:
    real = gaussian(0, 100, dims=4)

    def means(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
        precise, recalled = precision_recall(a, b)
        assert precise.shape == (len(a),)
        assert recalled.shape == (len(b),)
        return precise.mean(), recalled.mean()

    assert means(real, real) == (1, 1)
    assert means(real + 100, real) == (0, 0)
    few_modes = gaussian(1, 100, dims=4, scale=0.1)  # all plausible, little of the variety
    precision, recall = means(few_modes, real)
    assert precision == 1
    assert recall < 0.2
    assert means(real, few_modes) == (recall, precision)  # they are each other's mirror image


def test_a_set_of_one_picture_repeated_is_precise_only_if_it_is_a_real_one() -> None:
    # mode collapse: neighbours at distance 0, where rounding would decide
    real = mixed(0, 50) * 1000
    precise, recalled = precision_recall(np.repeat(real[:1], 20, 0), real)
    assert precise.mean() == 1
    assert recalled.tolist() == [1.0] + [0.0] * 49
    precise, recalled = precision_recall(np.repeat(real.mean(0, keepdims=True) + 1e6, 20, 0), real)
    assert precise.sum() == recalled.sum() == 0


def test_the_third_neighbour_is_the_third_other_picture() -> None:
    real = np.array([[0.0], [1.0], [3.0], [6.0]])  # reaches: 6, 5, 3, 6
    inside, outside = np.array([[11.9]]), np.array([[12.1]])
    for generated, expected in ((inside, 1.0), (outside, 0.0)):
        precise, _ = precision_recall(np.repeat(generated, 4, 0), real, k=3)
        assert precise.tolist() == [expected] * 4


@pytest.mark.parametrize(
    ("count", "dims", "shift", "scale"),
    [(50, 16, 0.3, 1.0), (100, 4, 1.0, 1.0), (50, 16, 0.0, 0.5), (60, 64, 0.0, 1.4)],
)
def test_intervals_of_precision_and_recall_cover_the_truth(
    count: int, dims: int, shift: float, scale: float
) -> None:
    def sets(i: int) -> tuple[np.ndarray, np.ndarray]:
        return gaussian(i, count, shift, dims, scale), gaussian(i + 10**6, count, dims=dims)

    truth = np.mean([[part.mean() for part in precision_recall(*sets(i))] for i in range(500)], 0)
    found = [precision_recall_estimates(*sets(10**7 + i)) for i in range(100)]
    for key, value in zip(("precision", "recall"), truth):
        estimates = [one[key] for one in found]
        assert covered(float(value), estimates) >= 0.92
        assert all(0 <= e.low <= e.value <= e.high <= 1 for e in estimates)


def test_an_interval_is_not_empty_where_all_pictures_agree() -> None:
    a = gaussian(0, 50)
    found = precision_recall_estimates(a, a)["precision"]
    assert found is not None
    assert found.value == found.high == 1
    assert 0.9 < found.low < 0.95  # none of 50 failed


def test_precision_and_recall_of_too_few_pictures_are_left_out_or_refused() -> None:
    a, b = gaussian(0, 4), gaussian(1, 40)
    assert precision_recall_estimates(a, b) == {} == precision_recall_estimates(b, a)
    assert set(precision_recall_estimates(gaussian(0, 5), b)) == {"precision", "recall"}
    precision_recall(a, b)
    with pytest.raises(UserError, match="3 pictures are too few, give 4 or more"):
        precision_recall(a[:3], b)


def test_estimates_repeat_for_a_seed() -> None:
    a, b = gaussian(0, 40, 0.3), gaussian(1, 50)
    assert precision_recall_estimates(a, b) == precision_recall_estimates(a, b)
    assert kid_estimate(a, b, 1) != kid_estimate(a, b, 2)


# -- wrong use -----------------------------------------------------------------------------------


DISTANCES = pytest.mark.parametrize(
    "distance",
    [
        kid,
        kid_estimate,
        fid,
        fid_estimate,
        precision_recall,
        precision_recall_estimates,
    ],
)


@DISTANCES
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused_with_the_picture_named(distance, value) -> None:
    a, b = gaussian(0, 40), gaussian(1, 50)
    b[30:, 3] = value
    with pytest.raises(UserError, match=r"second set.* not finite .* for 20 of 50 .* picture 31"):
        distance(a, b)
    with pytest.raises(UserError, match="first set"):
        distance(b, a)


@pytest.mark.parametrize("distance", [kid, kid_estimate, fid, fid_estimate, precision_recall])
def test_one_picture_is_no_set(distance) -> None:
    with pytest.raises(UserError, match=r"2 or more pictures in each; there are 5 and 1$"):
        distance(gaussian(0, 5), gaussian(1, 1))


@pytest.mark.parametrize("shape", [(5, 8), (16,)])
def test_vectors_of_other_lengths_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="of one length"):
        kid(gaussian(0, 5), np.zeros(shape))
