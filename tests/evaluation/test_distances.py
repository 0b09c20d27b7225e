import numpy as np
import pytest

from unpaired.evaluation.distances import kid, kid_estimate


def gaussian(seed: int, count: int, shift: float = 0.0, dims: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1.0, (count, dims))


def test_kid_equals_the_implementation_of_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    reference = pytest.importorskip("torchmetrics.image.kid")
    a, b = gaussian(0, 40), gaussian(1, 40, 0.3)
    expected = reference.poly_mmd(
        torch.from_numpy(a), torch.from_numpy(b), degree=3, gamma=None, coef=1.0
    )
    assert kid(a, b) == pytest.approx(float(expected), rel=1e-9)


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


@pytest.mark.parametrize("shape", [(1, 16), (5, 8)])
def test_sets_that_do_not_fit_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="distances need"):
        kid(gaussian(0, 5), np.zeros(shape))
