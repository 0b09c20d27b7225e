"""What the doctor measures: plain statistics of sets of pictures."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as fn
from numpy.typing import NDArray

from unpaired.data.decode import Pixels
from unpaired.evaluation.features import Features

Grey = NDArray[np.float64]  # (N, H, W), 0 to 255
BLOCK = 16  # pixels that a lattice is looked for in


def colours(pictures: Pixels) -> NDArray[np.float64]:
    """(N, H, W, C) of any type, 0 to 255."""
    return pictures.astype(np.float64) * (255 / np.iinfo(pictures.dtype).max)


def grey(pictures: Pixels) -> Grey:
    """The mean over channels: (N, H, W), 0 to 255."""
    mean: Grey = colours(pictures).mean(axis=3)
    return mean


def correlation(a: Grey, b: Grey) -> NDArray[np.float64]:
    """Of each pair of pictures, over its pixels: (N,)."""
    a, b = (one - one.mean(axis=(1, 2), keepdims=True) for one in (a, b))
    scale = np.sqrt((a**2).sum(axis=(1, 2)) * (b**2).sum(axis=(1, 2)))
    correlation: NDArray[np.float64] = (a * b).sum(axis=(1, 2)) / np.maximum(scale, 1e-12)
    return correlation


def wasserstein(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Mean over channels of the distance between the distributions of values."""
    places = np.linspace(0.005, 0.995, 100)
    quantiles = (np.quantile(one.reshape(-1, one.shape[3]), places, axis=0) for one in (a, b))
    first, second = quantiles
    return float(np.abs(first - second).mean())


def diversity(pictures: Pixels) -> float:
    """Mean over coarse places of the deviation between pictures, in grey levels."""
    values = torch.from_numpy(np.ascontiguousarray(colours(pictures))).permute(0, 3, 1, 2)
    coarse = fn.adaptive_avg_pool2d(values, 8).numpy()
    return float(coarse.std(axis=0).mean())


def feature_spread(features: Features) -> float:
    """Root of the mean variance of the features."""
    return float(np.sqrt(features.var(axis=0).mean()))


def lattices(shades: Grey) -> dict[tuple[int, int, int], float]:
    """Root mean square amplitude of waves, by (period, by rows, by columns), in grey levels."""
    count, height, width = shades.shape[0], *(side - side % BLOCK for side in shades.shape[1:])
    cut = shades[:, :height, :width]
    rows, columns = np.indices((height, width))
    amplitudes = {}
    for period in (2, 4):
        for r, c in ((1, 0), (0, 1), (1, 1)):
            wave = np.exp(2j * np.pi * (r * rows + c * columns) / period)
            blocks = (cut * wave).reshape(count, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
            power = np.abs(blocks.mean(axis=(2, 4))) ** 2
            amplitudes[period, r, c] = float(np.sqrt(power.mean()))
    return amplitudes


def spots(shades: Grey) -> NDArray[np.float64]:
    """How far each picture's strongest spot of 3 pixels stands out from the 15 around: (N,)."""
    planes = torch.from_numpy(np.ascontiguousarray(shades))[:, None]
    small = fn.avg_pool2d(planes, 3, 1, 1, count_include_pad=False)
    wide = fn.avg_pool2d(planes, 15, 1, 7, count_include_pad=False)
    rough = fn.avg_pool2d((planes - wide).abs(), 15, 1, 7, count_include_pad=False)
    # what stands out among what is rough anyway (waves, leaves) is no spot
    found = ((small - wide).abs() - 2 * rough).amax((1, 2, 3))
    return np.maximum(found.numpy(), 0)
