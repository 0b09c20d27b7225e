"""Where in a picture a translation may have invented something, or lost it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from unpaired.data.decode import Pixels
from unpaired.evaluation.estimates import Numbers
from unpaired.evaluation.features import as_rgb
from unpaired.evaluation.paired import smoothed

SIGMA = 2.0  # pixels over which both maps look; finer is noise, coarser points at nothing
FLAT = 4.0  # grey levels of local contrast below which there is no structure to speak of
LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601
WORST_SHARE = 0.05  # of a picture's pixels: its worst region

Maps = NDArray[np.float64]  # (N, H, W)

# A scale from nothing to much that stays readable in grey and to the colour-blind: the matplotlib
# map "inferno" at nine even steps.
SCALE = np.array(
    [
        (0, 0, 4),
        (31, 12, 72),
        (85, 15, 109),
        (136, 34, 106),
        (186, 54, 85),
        (227, 89, 51),
        (249, 140, 10),
        (249, 201, 50),
        (252, 255, 164),
    ],
    np.float64,
)


@dataclass(frozen=True)
class Faithfulness:
    """Maps beside the translations, and what they say of each picture."""

    structure_map: Maps
    """(N, H, W) in [0, 1], see `structure_change_map`."""
    cycle_map: Maps | None
    """(N, H, W) in grey levels, see `cycle_error_map`; None for a run of one direction."""
    structure_change: Numbers
    """(N,): each picture's mean of `structure_map`."""
    boxes: tuple[tuple[int, int, int, int], ...]
    """The worst place of each picture: top, left, bottom, right."""


def faithfulness(inputs: Pixels, translated: Pixels, reconstructed: Pixels | None) -> Faithfulness:
    """Both maps of every picture, (N, H, W, C) each.

    A hint, not a proof: both maps compare with the input, and what a domain change must alter (a
    horse's coat) and what it must not (its rider) look alike to them.
    """
    structure = structure_change_map(inputs, translated)
    cycle = None if reconstructed is None else cycle_error_map(inputs, reconstructed)
    means: Numbers = structure.mean(axis=(1, 2))
    worst = structure if cycle is None else structure + cycle / 255
    return Faithfulness(structure, cycle, means, tuple(_worst_box(one) for one in worst))


def cycle_error_map(inputs: Pixels, reconstructed: Pixels) -> Maps:
    """|F(G(x)) - x|, mean over channels, in grey levels 0 to 255, smoothed over 2 pixels.

    What didn't come back was not carried by the translation: left out, or drawn anew.

    Returns: (N, H, W).
    """
    scale = 255 / np.iinfo(inputs.dtype).max
    difference = np.abs(inputs.astype(np.float64) - reconstructed.astype(np.float64)).mean(3)
    return _smooth(difference * scale)


def structure_change_map(inputs: Pixels, translated: Pixels) -> Maps:
    """How much of the local structure changed, whatever became of colours and contrast.

    Around each pixel, r = correlation of the two luminances' gradients (a 2-vector each, so that
    edges of another direction don't count as alike). Its sign doesn't matter: dark on light may
    become light on dark. The change is (1 - r^2), weighed by how much there is to see: 0 where both
    pictures are flat, and full where either has contrast well above FLAT.

    Returns: (N, H, W) in [0, 1].
    """
    a, b = _gradients(inputs), _gradients(translated)
    energy_a, energy_b = (_smooth((g**2).sum(1)) for g in (a, b))
    product = _smooth((a * b).sum(1))
    noise = FLAT**2
    correlation = product**2 / (energy_a * energy_b + noise**2 / 4 + 1e-12)
    larger = np.maximum(energy_a, energy_b)
    visible = larger / (larger + noise)
    change: Maps = np.clip((1 - correlation) * visible, 0, 1)
    return change


def heat(maps: Maps, top: float) -> NDArray[np.uint8]:
    """Maps as pictures: black is 0, pale yellow is `top` or more. (N, H, W) -> (N, H, W, 3)."""
    place = np.clip(maps / top, 0, 1) * (len(SCALE) - 1)
    low = np.minimum(place.astype(int), len(SCALE) - 2)
    share = (place - low)[..., None]
    return np.rint(SCALE[low] * (1 - share) + SCALE[low + 1] * share).astype(np.uint8)


def outlined(picture: Pixels, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """A copy of a picture (H, W, C), in RGB, with the outline of a box."""
    drawn = as_rgb(picture).copy()
    top, left, bottom, right = box
    for edge in (
        (slice(top, bottom), [left, right - 1]),
        ([top, bottom - 1], slice(left, right)),
    ):
        drawn[edge] = (255, 0, 200)
    return drawn


def _luminance(pictures: Pixels) -> NDArray[np.float64]:
    """(N, H, W, C) of any type -> (N, H, W) in grey levels 0 to 255."""
    scaled = pictures.astype(np.float64) * (255 / np.iinfo(pictures.dtype).max)
    grey: NDArray[np.float64] = (
        scaled[..., :3] @ np.array(LUMINANCE) if pictures.shape[3] >= 3 else scaled.mean(3)
    )
    return grey


def _gradients(pictures: Pixels) -> NDArray[np.float64]:
    """(N, 2, H, W): central differences of the slightly smoothed luminance, per pixel."""
    grey = _smooth(_luminance(pictures), 0.7)
    down, right = np.gradient(grey, axis=(1, 2))
    return np.stack([down, right], axis=1)


def _smooth(maps: NDArray[np.float64], sigma: float = SIGMA) -> Maps:
    """(N, H, W) under a Gaussian."""
    planes: Maps = smoothed(torch.from_numpy(np.ascontiguousarray(maps))[:, None], sigma)[
        :, 0
    ].numpy()
    return planes


def _worst_box(values: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """The square of WORST_SHARE of the pixels with the largest sum."""
    height, width = values.shape
    side = max(1, min(height, width, round((WORST_SHARE * height * width) ** 0.5)))
    sums = np.zeros((height + 1, width + 1))
    sums[1:, 1:] = values.cumsum(0).cumsum(1)
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(top), int(left), int(top) + side, int(left) + side
