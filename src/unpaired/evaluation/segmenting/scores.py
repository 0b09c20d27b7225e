"""Class maps against true class maps, as the Cityscapes benchmark counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unpaired.evaluation.estimates import Numbers, draws, estimate
from unpaired.evaluation.metrics import Scores
from unpaired.evaluation.segmenting.classes import Maps

Confusion = NDArray[np.int64]  # (..., K, K + 1): truth, prediction; the last column: no class

KEYS = ("pixel_accuracy", "class_accuracy", "class_iou")


def confusion(truth: Maps, predicted: Maps, count: int) -> Confusion:
    """How often each true class was taken for each class, per picture.

    Pixels whose truth is no class don't count. A prediction that is no class is a miss of the true
    class, and no false alarm of another; it stands in the last column.

    Args: truth, predicted: (N, H, W), classes 0 to count - 1; anything above is no class.
    Returns: (N, count, count + 1).
    Raises: ValueError if the shapes differ.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"class maps must be of one size, not {truth.shape} and {predicted.shape}")
    n = len(truth)
    t = truth.reshape(n, -1).astype(np.int64)
    p = np.minimum(predicted.reshape(n, -1).astype(np.int64), count)
    counts = t < count
    cells = np.arange(n)[:, None] * count * (count + 1) + t * (count + 1) + p
    flat = np.bincount(cells[counts], minlength=n * count * (count + 1))
    return flat.reshape(n, count, count + 1)


def scores(matrix: NDArray[np.number]) -> dict[str, Numbers]:
    """Per-pixel accuracy, per-class accuracy and class IOU of confusion matrices.

    Each matrix is of a whole test set. Per-class accuracy is the mean over the classes that the
    truth has, class IOU (true positives by true positives, false positives and misses) over those
    that truth or prediction has: classes absent from both are left out.

    Args: matrix: (..., K, K + 1) as `confusion` gives them, summed over pictures.
    Returns: by KEYS, each (...); nan where nothing counts.
    Source: the benchmark's evalPixelLevelSemanticLabeling, which averages the IOU without nan.
    """
    matrix = np.asarray(matrix, np.float64)
    right = np.diagonal(matrix, axis1=-2, axis2=-1)
    of_truth = matrix.sum(-1)
    of_prediction = matrix[..., :-1].sum(-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        pixel = right.sum(-1) / of_truth.sum(-1)
        accuracy = _mean(right / of_truth)
        iou = _mean(right / (of_truth + of_prediction - right))
    return dict(zip(KEYS, (pixel, accuracy, iou)))


def segmentation_estimates(truth: Maps, predicted: Maps, count: int, seed: int = 0) -> Scores:
    """The three figures over the whole set, with a bootstrap over its pictures.

    Returns: by KEYS; None where no pixel counts.
    Raises: ValueError if the shapes differ or there are no pictures.
    """
    if len(truth) == 0:
        raise ValueError("no class maps to compare")
    matrices = confusion(truth, predicted, count)
    whole = scores(matrices.sum(0))
    weights = draws(len(matrices), seed)
    resampled = scores(np.tensordot(weights, matrices.astype(np.float64), axes=1))
    return {
        key: estimate(float(whole[key]), resampled[key]) if np.isfinite(whole[key]) else None
        for key in KEYS
    }


def segmentation_per_picture(truth: Maps, predicted: Maps, count: int) -> dict[str, Numbers]:
    """The three figures of each picture by itself, each (N,); nan where no pixel counts."""
    return scores(confusion(truth, predicted, count))


def _mean(values: Numbers) -> Numbers:
    """The mean over the last axis without nan; nan if there is nothing else."""
    present = ~np.isnan(values)
    total: Numbers = np.where(present, values, 0).sum(-1) / present.sum(-1)
    return total
