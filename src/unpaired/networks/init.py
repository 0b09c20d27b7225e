"""Initial weights."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from unpaired.networks.blocks import ResnetBlock

Init = Literal["normal", "xavier", "kaiming", "orthogonal"]


@torch.no_grad()
def initialise(network: nn.Module, kind: Init = "normal", gain: float = 0.02) -> None:
    """Set the weights of convolutions and linear layers from torch's global generator, biases to 0.

    Args:
        kind: "normal" is N(0, gain^2), the paper's; "xavier" and "orthogonal" take `gain`;
            "kaiming" keeps the variance through (leaky) ReLUs and takes no gain: it is for
            networks without norms, so residual branches start at 0.3 of it and the layer before
            a tanh too, or the sums would grow with the depth.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            if kind == "normal":
                nn.init.normal_(module.weight, 0.0, gain)
            elif kind == "xavier":
                nn.init.xavier_normal_(module.weight, gain)
            elif kind == "orthogonal":
                nn.init.orthogonal_(module.weight, gain)
            else:
                nn.init.kaiming_normal_(module.weight, a=_slope(network))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
    if kind == "kaiming":
        for module in network.modules():
            if isinstance(module, ResnetBlock):
                _last_convolution(module).weight.mul_(0.3)
        if any(isinstance(module, nn.Tanh) for module in network.modules()):
            _last_convolution(network).weight.mul_(0.3)


def _slope(network: nn.Module) -> float:
    """The negative slope of the network's first rectifier."""
    for module in network.modules():
        if isinstance(module, nn.LeakyReLU):
            return float(module.negative_slope)
        if isinstance(module, nn.ReLU):
            return 0.0
    return 0.0


def _last_convolution(network: nn.Module) -> nn.Conv2d | nn.ConvTranspose2d:
    found = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    return found[-1]
