"""Where in a picture a translation may have invented something, or lost it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unpaired.data.decode import Pixels
from unpaired.data.showing import as_rgb
from unpaired.evaluation.estimates import Numbers
from unpaired.evaluation.paired import smoothed

SIGMA = 2.0  # pixels over which both maps look; finer is noise, coarser points at nothing
FINEST = 1.0  # pixels over which edges are blurred before they are compared
FLAT = 2.0  # grey levels per pixel: the usual edge of a picture that has none to speak of
FAINT = 0.02  # squared strength that edges must pass to count
CYCLE_TOP = 64.0  # grey levels of cycle error that count as much as all structure changed
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
    """The worst place of each picture: top, left, bottom, right, the last two exclusive."""


def faithfulness(inputs: Pixels, translated: Pixels, reconstructed: Pixels | None) -> Faithfulness:
    """Both maps of every picture, (N, H, W, C) each, and where they are largest together.

    A hint, not a proof: both maps compare with the input, and what a domain change must alter (a
    horse's coat) and what it must not (its rider) look alike to them. How well they did where the
    truth is known: docs/evaluation/faithfulness.md.
    """
    structure = structure_change_map(inputs, translated)
    cycle = None if reconstructed is None else cycle_error_map(inputs, reconstructed)
    means: Numbers = structure.mean(axis=(1, 2))
    worst = structure if cycle is None else structure + cycle / CYCLE_TOP
    return Faithfulness(structure, cycle, means, tuple(_worst_box(one) for one in worst))


def cycle_error_map(inputs: Pixels, reconstructed: Pixels) -> Maps:
    """|F(G(x)) - x|, mean over channels, in grey levels 0 to 255, smoothed over SIGMA pixels.

    What didn't come back was not carried by the translation: left out, or drawn anew. What came
    back may have travelled unseen; `reconstruct` tests that.

    Args: inputs, reconstructed: (N, H, W, C) of one shape and type.
    Returns: (N, H, W).
    Raises: ValueError if shapes or types differ.
    """
    if inputs.shape != reconstructed.shape or inputs.dtype != reconstructed.dtype:
        raise ValueError(f"{inputs.shape} {inputs.dtype} can't come back as {reconstructed.shape}")
    pairs = zip(map(_planes, inputs), map(_planes, reconstructed))
    return _stack(inputs, [_smooth((a - b).abs().mean(1)) for a, b in pairs])


def structure_change_map(inputs: Pixels, translated: Pixels) -> Maps:
    """How much of the local structure changed, whatever became of colours and contrast.

    Structure is where edges are and which way they run. With J the mean over channels of
    grad(c) grad(c)' (Di Zenzo 1986), l its larger eigenvalue and p the edge's direction,
    e = l / (l + m) (cos 2p, sin 2p), where m is the picture's mean of l: an edge of the picture's
    usual strength counts half, whatever that is in grey levels, and dark on light is light on dark.
    Under a Gaussian <.> of SIGMA pixels,

        change = 1 - (2 <e_a . e_b> + c) / (<e_a . e_a> + <e_b . e_b> + c).

    Each picture is judged alone, so a map says where within it; means compare between pictures of
    one kind.

    Args: inputs, translated: (N, H, W, any channels), uint8 or uint16, at least 2 x 2 pixels.
    Returns: (N, H, W) in [0, 1]: 0 the same structure or none in both, 1 nothing in common.
    Raises: ValueError if N, H or W differ.
    """
    if inputs.shape[:3] != translated.shape[:3]:
        raise ValueError(f"{inputs.shape[:3]} pictures have no {translated.shape[:3]} translations")
    changes = []
    for x, y in zip(inputs, translated):
        a, b = _edges(_planes(x)), _edges(_planes(y))
        shared = _smooth((a * b).sum(1))
        all_edges = _smooth((a**2 + b**2).sum(1))
        changes.append((1 - (2 * shared + FAINT) / (all_edges + FAINT)).clamp(0, 1))
    return _stack(inputs, changes)


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


def _edges(planes: Tensor) -> Tensor:
    """(1, C, H, W) in grey levels -> (1, 2, H, W): strength in [0, 1] times (cos 2p, sin 2p)."""
    down, right = torch.gradient(smoothed(planes, FINEST), dim=(2, 3))
    xx, yy, xy = ((u * v).mean(1) for u, v in ((right, right), (down, down), (right, down)))
    spread = torch.hypot(xx - yy, 2 * xy)  # the eigenvalues' difference
    larger = (xx + yy + spread) / 2
    strength = larger / (larger + larger.mean().clamp(min=FLAT**2))
    return strength * torch.stack([xx - yy, 2 * xy], dim=1) / spread.clamp(min=1e-9)


def _planes(picture: Pixels) -> Tensor:
    """(H, W, C) of any type -> (1, C, H, W) in grey levels 0 to 255."""
    values = picture.astype(np.float64).transpose(2, 0, 1) * (255 / np.iinfo(picture.dtype).max)
    return torch.from_numpy(np.ascontiguousarray(values))[None]


def _smooth(maps: Tensor) -> Tensor:
    """(1, H, W) under a Gaussian of SIGMA pixels."""
    return smoothed(maps[:, None], SIGMA)[:, 0]


def _stack(pictures: Pixels, maps: list[Tensor]) -> Maps:
    empty = np.zeros((0, *pictures.shape[1:3]))
    return torch.cat(maps).numpy() if maps else empty


def _worst_box(values: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """The square of WORST_SHARE of the pixels with the largest sum."""
    height, width = values.shape
    side = max(1, min(height, width, round((WORST_SHARE * height * width) ** 0.5)))
    sums = np.zeros((height + 1, width + 1))
    sums[1:, 1:] = values.cumsum(0).cumsum(1)
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(top), int(left), int(top) + side, int(left) + side
