"""A generator in operations that every exchange format has: the one place that rewrites for it."""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from unpaired.networks.blocks import InstanceNorm, ReflectionPad
from unpaired.networks.unet_vit import PixelTransformer


def plain(network: nn.Module) -> nn.Module:
    """A copy with the same weights and numbers (but for rounding), in float32, for the exporter.

    Our instance norm is a batch norm of one image at a time, and would be exported for one batch
    size; our padding switches autocast off and on; `linspace` would fix the picture's sides.
    """
    network = copy.deepcopy(network).float().eval().to(memory_format=torch.contiguous_format)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, InstanceNorm):
                setattr(module, name, PlainInstanceNorm(child))
            elif isinstance(child, ReflectionPad):
                setattr(module, name, nn.ReflectionPad2d(child.padding))
            elif isinstance(child, PixelTransformer):
                child.__class__ = PlainPixelTransformer
    return network


class PlainInstanceNorm(nn.Module):
    """Instance norm by its name, for any batch."""

    def __init__(self, norm: InstanceNorm) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:
        return fn.instance_norm(x, weight=self.weight, bias=self.bias)


class PlainPixelTransformer(PixelTransformer):
    """Counts its pixels when it runs, not when it is exported."""

    def places(self, height: int, width: int, device: torch.device) -> Tensor:
        rows, columns = _steps(height, device), _steps(width, device)
        both = torch.stack([rows[:, None].expand(-1, width), columns.expand(height, -1)], 2)
        return both.reshape(height * width, 2)


def _steps(side: int, device: torch.device) -> Tensor:
    """`torch.linspace(-1, 1, side)`."""
    length: Any = torch.sym_max(side - 1, 1)
    return 2 * torch.arange(side, device=device).float() / length - 1
