"""PSNR and SSIM, against other implementations and by hand."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio

from unpaired.data.catalog import worldtiles_view
from unpaired.evaluation.paired import psnr, ssim, ssim_map

A, B = (worldtiles_view(view, "test")[:6] for view in ("aerial", "map"))


def theirs(pictures):
    return torch.from_numpy(pictures.astype(np.float64)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("depth", ["uint8", "uint16"])
def test_psnr_equals_torchmetrics(channels, depth):
    scale = 257 if depth == "uint16" else 1
    a, b = (p[..., :channels].astype(depth) * scale for p in (A, B))
    for i in range(len(a)):
        one, two = theirs(a[i : i + 1]), theirs(b[i : i + 1])
        expected = peak_signal_noise_ratio(one, two, data_range=255.0 * scale)
        assert psnr(a[i : i + 1], b[i : i + 1])[0] == pytest.approx(float(expected), rel=1e-6)


def test_ssim_is_equation_13_at_a_pixel():
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2
    a, b = (p[0, 20:31, 30:41, 1].astype(float) for p in (A, B))
    mean_a, mean_b = (window * a).sum(), (window * b).sum()
    var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
    both = (window * (a - mean_a) * (b - mean_b)).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    expected /= (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    assert ssim_map(A[:1, :, :, 1:2], B[:1, :, :, 1:2])[0, 25, 35] == pytest.approx(expected)


def test_known_answers():
    assert ssim(A, A) == pytest.approx(1.0)
    assert psnr(A, A) == pytest.approx(20 * np.log10(510))
    dark, bright = np.full((1, 32, 32, 3), 100, np.uint8), np.full((1, 32, 32, 3), 150, np.uint8)
    c1 = (0.01 * 255) ** 2
    luminance = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)  # flat: the other factors are 1
    assert ssim(dark, bright)[0] == pytest.approx(luminance)
    assert psnr(dark, bright)[0] == pytest.approx(20 * np.log10(255 / 50))


def test_it_is_symmetric_and_says_where():
    np.testing.assert_allclose(ssim(A, B), ssim(B, A))
    changed = A.copy()
    changed[:, 40:48, 8:16] = 255 - changed[:, 40:48, 8:16]
    found = ssim_map(A, changed)
    assert found.shape == A.shape[:3]
    assert found[:, 44, 12].max() < 0.9
    np.testing.assert_allclose(found[:, :24, 30:], 1)


def test_pictures_smaller_than_the_window_are_scored():
    small = A[:, :7, :5]
    assert ssim(small, small) == pytest.approx(1.0)
    assert (ssim(small, B[:, :7, :5]) < 1).all()


def test_pairs_that_differ_in_shape_or_type_are_refused():
    for function in (psnr, ssim):
        with pytest.raises(ValueError, match="must be alike"):
            function(A, B[:, :32])
        with pytest.raises(ValueError, match="must be alike"):
            function(A, B.astype(np.uint16))
