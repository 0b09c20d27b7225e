"""Convolutions computed in another way give the very same."""

import pytest
import torch
from torch import nn

from unpaired.networks.convolution import Conv2d
from unpaired.networks.winograd import Winograd


def values_and_gradients(layer: nn.Conv2d, x: torch.Tensor, weights: torch.Tensor) -> list:
    """Of sum(weights * layer(x)): the output, and gradients for input, filters and bias."""
    x = x.detach().requires_grad_(True)
    y = layer(x)
    return [y, *torch.autograd.grad((y * weights).sum(), [x, layer.weight, layer.bias])]


@pytest.mark.parametrize(
    ("channels", "kernel", "height", "width"),
    [((128, 144), 3, 32, 36), ((160, 128), 3, 64, 64), ((24, 3), 7, 20, 17)],
    ids=["winograd", "winograd in pieces", "row by row"],
)
def test_a_fast_convolution_is_torchs_in_values_and_gradients(channels, kernel, height, width):
    torch.manual_seed(0)
    fast = Conv2d(*channels, kernel).to(memory_format=torch.channels_last)
    exact = nn.Conv2d(*channels, kernel).double()
    exact.load_state_dict(fast.state_dict())
    shape = (2, channels[0], height + kernel - 1, width + kernel - 1)
    x = torch.randn(shape).to(memory_format=torch.channels_last)
    weights = torch.randn(2, channels[1], height, width)
    found = values_and_gradients(fast, x, weights)
    assert found[0].grad_fn.name() != "ConvolutionBackward0"
    for own, right in zip(found, values_and_gradients(exact, x.double(), weights.double())):
        off = (own.double() - right).abs().max() / right.abs().max()
        assert off < 5e-6


def test_only_wanted_gradients_are_computed():
    x = torch.randn(1, 128, 34, 34).to(memory_format=torch.channels_last)
    weight = torch.randn(128, 128, 3, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(Winograd.apply(x, weight, None).sum(), [weight])
    right = x.unfold(2, 32, 1).unfold(3, 32, 1).sum((0, 4, 5))
    torch.testing.assert_close(gradient[5], right, rtol=1e-4, atol=1e-3)


def test_without_gradients_or_in_bf16_a_convolution_is_torchs_own():
    layer, x = Conv2d(128, 128, 3), torch.randn(1, 128, 34, 34)
    plain = nn.Conv2d(128, 128, 3)
    plain.load_state_dict(layer.state_dict())
    with torch.no_grad():
        assert torch.equal(layer(x), plain(x))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), plain(x))
