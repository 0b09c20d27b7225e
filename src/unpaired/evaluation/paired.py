"""Scores of pictures against others that show the same: the hidden pair, or the way back."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as fn
from torch import Tensor

from unpaired.data.decode import Pixels
from unpaired.evaluation.estimates import Numbers

WINDOW, SIGMA = 11, 1.5  # Wang et al. 2004
K1, K2 = 0.01, 0.03
AT_ONCE = 64  # pictures whose local statistics are held in memory


def absolute_errors(translated: Pixels, truth: Pixels) -> Numbers:
    """The mean absolute difference of each picture from its true pair, in grey levels 0 to 255.

    Args: translated, truth: (N, H, W, C), both uint8 or both uint16; 16-bit differences are scaled
        to the 8-bit range.
    Returns: (N,).
    Raises: ValueError if shapes or types differ.
    """
    _check(translated, truth)
    scale = 255 / np.iinfo(truth.dtype).max
    difference = np.abs(translated.astype(np.float64) - truth.astype(np.float64))
    errors: Numbers = difference.mean(axis=(1, 2, 3)) * scale
    return errors


def psnr(translated: Pixels, truth: Pixels) -> Numbers:
    """Peak signal-to-noise ratio of each picture, 10 log10(range^2 / mean squared error), in dB.

    The range is that of the type. Equal pictures get 20 log10(2 range), as if half a grey level
    were wrong: what rounding could hide, and a mean over pictures stays finite.

    Returns: (N,). Raises: ValueError if shapes or types differ.
    """
    _check(translated, truth)
    top = float(np.iinfo(truth.dtype).max)
    difference = translated.astype(np.float64) - truth.astype(np.float64)
    squared = np.maximum((difference**2).mean(axis=(1, 2, 3)), 0.25)
    ratio: Numbers = 10 * np.log10(top**2 / squared)
    return np.where((difference == 0).all(axis=(1, 2, 3)), 20 * np.log10(2 * top), ratio)


def ssim(translated: Pixels, truth: Pixels) -> Numbers:
    """Structural similarity of each picture: the mean of `ssim_map` where the window fits whole.

    1 for equal pictures. Of pictures smaller than the window, the mean of the whole map.

    Returns: (N,). Raises: ValueError if shapes or types differ.
    """
    found = ssim_map(translated, truth)
    edge = WINDOW // 2
    inner = found[:, edge:-edge, edge:-edge]
    means: Numbers = (inner if inner.size else found).mean(axis=(1, 2))
    return means


def ssim_map(translated: Pixels, truth: Pixels) -> Numbers:
    """Structural similarity around each pixel, the mean over channels.

    An 11x11 Gaussian window of sigma 1.5 (cut, and reflected, where pictures are smaller or end),
    population statistics, K1 = 0.01, K2 = 0.03, range of the type.

    Returns: (N, H, W), at most 1. Raises: ValueError if shapes or types differ.
    Source: Wang, Bovik, Sheikh, Simoncelli 2004, eq. 13.
    """
    _check(translated, truth)
    top = float(np.iinfo(truth.dtype).max)
    c1, c2 = (K1 * top) ** 2, (K2 * top) ** 2
    maps = []
    for start in range(0, len(truth), AT_ONCE):
        a, b = (_planes(pictures[start : start + AT_ONCE]) for pictures in (translated, truth))
        mean_a, mean_b = smoothed(a), smoothed(b)
        variance_a = smoothed(a * a) - mean_a**2
        variance_b = smoothed(b * b) - mean_b**2
        covariance = smoothed(a * b) - mean_a * mean_b
        similarity = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
        similarity /= (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
        maps.append(similarity.mean(1).numpy())
    found: Numbers = np.concatenate(maps)
    return found


def smoothed(planes: Tensor, sigma: float = SIGMA) -> Tensor:
    """(N, C, H, W) under a Gaussian window of 2 round(3.5 sigma) + 1 pixels, edges reflected."""
    reach = int(3.5 * sigma + 0.5)
    for axis in (2, 3):
        # a picture can be reflected by no more than its own side
        own = min(reach, planes.shape[axis] - 1)
        offsets = torch.arange(-own, own + 1, dtype=planes.dtype)
        window = torch.exp(-(offsets**2) / (2 * sigma**2))
        window = window / window.sum()
        count, channels = planes.shape[:2]
        pad = (own, own, 0, 0) if axis == 3 else (0, 0, own, own)
        shape = (1, 1, 1, -1) if axis == 3 else (1, 1, -1, 1)
        flat = fn.pad(planes, pad, mode="reflect").flatten(0, 1)[:, None]
        smooth = fn.conv2d(flat, window.view(shape))
        planes = smooth.view(count, channels, *smooth.shape[2:])
    return planes


def _planes(pictures: Pixels) -> Tensor:
    """(N, H, W, C) -> (N, C, H, W) float64."""
    return torch.from_numpy(np.ascontiguousarray(pictures.astype(np.float64))).permute(0, 3, 1, 2)


def _check(translated: Pixels, truth: Pixels) -> None:
    if translated.shape != truth.shape or translated.dtype != truth.dtype:
        raise ValueError(
            f"pairs must be alike, not {translated.shape} {translated.dtype} and "
            f"{truth.shape} {truth.dtype}"
        )
