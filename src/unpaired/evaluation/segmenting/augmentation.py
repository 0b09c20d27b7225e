"""Photos and their class maps, moved, turned, scaled and recoloured together."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as fn

SCALES = (0.7, 1.5)  # of the content; above 1 a part of the picture fills the frame
STILL = 0.3  # of the pictures are only mirrored and turned by quarters, which blurs nothing
TILT = math.radians(8)  # of a picture that has an upper side
JITTER = 0.08  # of contrast and saturation, each up or down; half of it for brightness and hue


def augment(
    photos: Tensor, maps: Tensor, rng: np.random.Generator, rotate: bool
) -> tuple[Tensor, Tensor]:
    """One random change of geometry and colour per picture.

    Args:
        photos: (N, 3, H, W) in [-1, 1]; maps: (N, H, W) uint8.
        rotate: by any angle, for pictures seen from above; otherwise tilted a little.
    Returns: of the same shapes; what lies outside a picture is its mirror image.
    """
    grid = _grid(photos.shape, rng, rotate).to(photos.device)
    moved = fn.grid_sample(photos, grid, "bilinear", "reflection", align_corners=False)
    # nearest sampling keeps whole numbers whole, and floats hold all 256 of them
    classes = fn.grid_sample(
        maps[:, None].float(), grid, "nearest", "reflection", align_corners=False
    )
    return _recoloured(moved, rng), classes[:, 0].to(torch.uint8)


def _grid(shape: torch.Size, rng: np.random.Generator, rotate: bool) -> Tensor:
    """Where every pixel comes from: (N, H, W, 2) for grid_sample."""
    count, _, height, width = shape
    scale = np.exp(rng.uniform(math.log(SCALES[0]), math.log(SCALES[1]), count))
    angle = rng.uniform(-TILT, TILT, count)
    if rotate:
        angle = rng.uniform(0, 2 * math.pi, count)
    still = rng.random(count) < STILL
    turns = rng.integers(4, size=count) if rotate else np.zeros(count)
    angle = np.where(still, turns * math.pi / 2, angle)
    scale = np.where(still, 1.0, scale)
    mirror = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    room = np.abs(1 - 1 / scale)[:, None]  # a crop stays inside, a smaller picture stays whole
    shift = rng.uniform(-1, 1, (count, 2)) * room
    cos, sin, aspect = np.cos(angle) / scale, np.sin(angle) / scale, height / width
    theta = np.stack(
        [
            np.stack([mirror * cos, -sin * aspect, shift[:, 0]], 1),
            np.stack([mirror * sin / aspect, cos, shift[:, 1]], 1),
        ],
        1,
    )
    return fn.affine_grid(
        torch.from_numpy(theta.astype(np.float32)), [count, 3, height, width], align_corners=False
    )


def _recoloured(photos: Tensor, rng: np.random.Generator) -> Tensor:
    count = len(photos)

    def drawn(channels: int, extent: float) -> Tensor:
        values = rng.uniform(-extent, extent, (count, channels, 1, 1)).astype(np.float32)
        return torch.from_numpy(values).to(photos.device)

    grey = photos.mean(1, keepdim=True)
    photos = grey + (photos - grey) * (1 + drawn(1, JITTER))
    mean = photos.mean((2, 3), keepdim=True)
    photos = mean + (photos - mean) * (1 + drawn(1, JITTER))
    return (photos + drawn(1, JITTER / 2) + drawn(3, JITTER / 4)).clamp(-1, 1)
