"""How far apart two sets of pictures are, seen through feature vectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from unpaired.data.decode import from_unit
from unpaired.evaluation.estimates import RESAMPLES, Estimate, estimate
from unpaired.evaluation.features import EfficientNetLite0, FeatureNet, Features, as_rgb
from unpaired.methods.base import Direction


def kernel(a: Features, b: Features) -> Features:
    """(n, d), (m, d) -> (n, m): the cubic polynomial kernel (a . b / d + 1)^3."""
    values: Features = (a @ b.T / a.shape[1] + 1) ** 3
    return values


def kid(a: Features, b: Features) -> float:
    """Kernel inception distance: the unbiased estimate of the squared MMD under `kernel`.

    Raw, not times 1000. 0 is expected for two samples of one distribution, so the estimate can be
    a little below 0.

    Args: a, b: (n, d) and (m, d), of at least 2 rows each.
    Raises: ValueError for sets too small.
    Source: Bińkowski et al. 2018, https://arxiv.org/abs/1801.01401, with the whole sets at once
        instead of a mean over subsets.
    """
    _check(a, b)
    return float(_weighted(a, b, np.ones((1, len(a))), np.ones((1, len(b))))[0])


def kid_estimate(a: Features, b: Features, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """`kid` with a bootstrap over the pictures of both sets.

    A picture drawn twice is never compared with itself: such pairs would make two samples of the
    same set look closer to themselves than they are, and push every resampled distance up.
    """
    _check(a, b)
    rng = np.random.default_rng([seed, len(a), len(b)])
    n, m = len(a), len(b)
    draws_a = rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)
    draws_b = rng.multinomial(m, np.full(m, 1 / m), size=resamples).astype(np.float64)
    with np.errstate(invalid="ignore"):
        values = _weighted(a, b, draws_a, draws_b)
    return estimate(kid(a, b), values)  # of tiny sets, a draw can be one picture: not finite


def _weighted(a: Features, b: Features, u: Features, v: Features) -> Features:
    """MMD^2 for rows of weights u (r, n), v (r, m), without pairs of a picture with itself."""
    aa, bb, ab = kernel(a, a), kernel(b, b), kernel(a, b)
    np.fill_diagonal(aa, 0)
    np.fill_diagonal(bb, 0)
    within_a = ((u @ aa) * u).sum(1) / (u.sum(1) ** 2 - (u**2).sum(1))
    within_b = ((v @ bb) * v).sum(1) / (v.sum(1) ** 2 - (v**2).sum(1))
    between = ((u @ ab) * v).sum(1) / (u.sum(1) * v.sum(1))
    values: Features = within_a + within_b - 2 * between
    return values


def _check(a: Features, b: Features) -> None:
    if min(len(a), len(b)) < 2 or a.shape[1:] != b.shape[1:]:
        raise ValueError(
            f"KID needs two sets of 2 or more vectors of one length, not {a.shape} and {b.shape}"
        )


def validation_score(
    translate: Callable[[Tensor, Direction], Tensor],
    x: Tensor,
    y: Tensor,
    features: FeatureNet | None = None,
) -> float:
    """The mean KID of both directions: translations of one domain against the other's pictures.

    Args:
        translate: as `Method.translate`; x, y: (N, C, H, W) in [-1, 1] on the method's device.
        features: None: EfficientNet-Lite0.
    """
    net = features if features is not None else EfficientNetLite0()

    def seen(images: Tensor) -> Features:
        return net(as_rgb(from_unit(images.permute(0, 2, 3, 1).float().cpu().numpy(), "uint8")))

    def translated(images: Tensor, direction: Direction) -> Features:
        return np.concatenate(
            [seen(translate(part, direction)) for part in torch.split(images, 16)]
        )

    return (kid(translated(x, "x2y"), seen(y)) + kid(translated(y, "y2x"), seen(x))) / 2
