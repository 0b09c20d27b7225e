import numpy as np
import pytest

from unpaired.evaluation.baselines import ColourTransform


def pictures(seed: int, mean: list[float], spread: np.ndarray) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(40, 30, 30, 3)) @ spread + mean
    return list(np.clip(np.rint(noise), 0, 255).astype(np.uint8))


def test_moved_colours_have_the_mean_and_covariance_of_the_other_set() -> None:
    rng = np.random.default_rng(5)
    x = pictures(0, [90, 120, 140], rng.normal(size=(3, 3)) * 9)
    y = pictures(1, [150, 110, 80], rng.normal(size=(3, 3)) * 9)
    moved = np.stack([ColourTransform.fit(x, y)(p) for p in x]).reshape(-1, 3)
    target = np.stack(y).reshape(-1, 3)
    np.testing.assert_allclose(moved.mean(0), target.mean(0), atol=0.3)
    np.testing.assert_allclose(np.cov(moved.T), np.cov(target.T), atol=4)


def test_an_affine_change_of_colours_is_found_if_it_is_symmetric_and_positive() -> None:
    matrix = np.array([[0.9, 0.2, 0.0], [0.2, 0.7, 0.1], [0.0, 0.1, 1.1]])
    x = pictures(0, [120, 120, 120], np.diag([8.0, 12.0, 5.0]))
    y = [np.rint((p - 120.0) @ matrix.T + [100, 140, 110]).astype(np.int64) for p in x]
    found = ColourTransform.fit(x, y)
    np.testing.assert_allclose(found.matrix, matrix, atol=0.01)


def test_commuting_covariances_scale_each_direction_by_the_ratio_of_deviations() -> None:
    x = pictures(0, [120, 120, 120], np.diag([5.0, 10.0, 15.0]))
    y = pictures(1, [130, 110, 120], np.diag([15.0, 10.0, 5.0]))
    found = ColourTransform.fit(x, y).matrix
    np.testing.assert_allclose(found, np.diag([3.0, 1.0, 1 / 3]), atol=0.05)


def test_a_set_of_grey_pictures_does_not_break_it() -> None:
    grey = [np.repeat(p[..., :1], 3, axis=2) for p in pictures(0, [90, 90, 90], np.eye(3) * 9)]
    colour = pictures(1, [150, 110, 80], np.eye(3) * 9)
    for x, y in ((grey, colour), (colour, grey)):
        moved = np.stack([ColourTransform.fit(x, y)(p) for p in x]).reshape(-1, 3)
        np.testing.assert_allclose(moved.mean(0), np.stack(y).reshape(-1, 3).mean(0), atol=0.5)


def test_result_keeps_shape_and_type_and_is_clipped() -> None:
    x = pictures(0, [50, 50, 50], np.eye(3))
    y = pictures(1, [200, 200, 200], np.eye(3) * 9)
    moved = ColourTransform.fit(x, y)(np.full((2, 3, 3), 255, np.uint8))
    assert moved.shape == (2, 3, 3)
    assert moved.dtype == np.uint8
    assert moved.min() == 255


def test_empty_sets_and_other_channels_are_refused() -> None:
    x = pictures(0, [50, 50, 50], np.eye(3))
    with pytest.raises(ValueError, match="no pictures"):
        ColourTransform.fit(x, [])
    with pytest.raises(ValueError, match="channels"):
        ColourTransform.fit(x, [x[0][..., :1]])
