"""The network that names classes."""

import pytest
import torch

from unpaired.networks.fcn import FCN


def tiny(classes: int = 3) -> FCN:
    torch.manual_seed(0)
    return FCN(classes, width=4)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (32, 48), (96, 128)])
def test_every_pixel_gets_a_score_per_class(height, width):
    network = tiny(5)
    assert (height % network.multiple, width % network.multiple) == (0, 0)
    assert network(torch.rand(2, 3, height, width)).shape == (2, 5, height, width)


def test_every_weight_takes_part():
    network = tiny()
    network(torch.randn(2, 3, 32, 32)).square().mean().backward()
    silent = [name for name, p in network.named_parameters() if not p.grad.abs().sum() > 0]
    assert silent == []


def test_what_a_picture_is_read_as_does_not_depend_on_the_others():
    network = tiny().eval()
    x = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(x)[1:2], network(x[1:2]), rtol=1e-4, atol=1e-5)
