"""Content and style of one picture against those of others (Gatys, Ecker and Bethge 2016)."""

from __future__ import annotations

from torch import Tensor


def content_loss(F: Tensor, P: Tensor) -> Tensor:
    """Eq. 1, 1/2 (F - P)^2, as a mean over filters and places, so that size doesn't matter.

    Args: F, P: (N, C, h, w), one layer's features of the picture painted and of the content.
    """
    return 0.5 * (F.float() - P.float()).square().mean()


def gram(F: Tensor) -> Tensor:
    """Eq. 3, G_ij = sum_k F_ik F_jk, divided by the M places k, so that sizes may differ.

    Args: F: (N, C, h, w), one layer's features. Returns: (N, C, C).
    """
    F = F.float().flatten(2)
    return F @ F.transpose(1, 2) / F.shape[2]


def style_loss(G: Tensor, A: Tensor) -> Tensor:
    """Eq. 4, 1/(4 N^2 M^2) sum_ij (G_ij - A_ij)^2, for N filters; `gram` has divided by M already.

    Args: G, A: (N, C, C), one layer's Gram matrices of the picture painted and of the style.
    """
    return 0.25 * (G - A).square().mean()
