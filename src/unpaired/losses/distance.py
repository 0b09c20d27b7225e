"""How far two images, or what a network makes of them, are from each other."""

from __future__ import annotations

from torch import Tensor


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference over all elements: |a - b|_1 of CycleGAN's eq. 2."""
    return (a.float() - b.float()).abs().mean()
