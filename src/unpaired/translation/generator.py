"""The one network that translates in a direction."""

from __future__ import annotations

from torch import nn

from unpaired.methods.base import Direction, Method


def generator_of(method: Method, direction: Direction) -> nn.Module | None:
    """`translate` of the method is this network's pass; None if it is more than that (CoGAN)."""
    name = "F" if direction == "y2x" and "x2y" in method.directions else "G"
    found = getattr(method, name, None)
    return found if isinstance(found, nn.Module) else None
