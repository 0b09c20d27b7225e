"""Initial weights."""

from __future__ import annotations

import itertools
from typing import Literal

import torch
from torch import nn

from unpaired.networks.blocks import InstanceNorm, ResnetBlock

Init = Literal["normal", "xavier", "kaiming", "orthogonal"]


@torch.no_grad()
def initialise(network: nn.Module, kind: Init = "normal", gain: float = 0.02) -> None:
    """Set the weights of convolutions and linear layers from torch's global generator, biases to 0.

    Biases that an instance norm subtracts again are no longer trained (`rest_idle_biases`).

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
    rest_idle_biases(network)
    if kind == "kaiming":
        for module in network.modules():
            if isinstance(module, ResnetBlock):
                _last_convolution(module).weight.mul_(0.3)
        if any(isinstance(module, nn.Tanh) for module in network.modules()):
            _last_convolution(network).weight.mul_(0.3)


def rest_idle_biases(network: nn.Module) -> None:
    """Stop training every bias that an instance norm right after it subtracts again.

    The output doesn't depend on such a bias, so its gradient is 0. Computed, it is rounding noise,
    which Adam blows up to full steps that change nothing, and it costs a sum over the feature map.
    The bias stays in the weights, as in the authors' code, with the value it was given.
    """
    layers = [m for m in network.modules() if not isinstance(m, nn.Sequential)]
    for layer, after in itertools.pairwise(layers):
        convolution = isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
        if convolution and layer.bias is not None and isinstance(after, InstanceNorm):
            layer.bias.requires_grad_(False)


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
