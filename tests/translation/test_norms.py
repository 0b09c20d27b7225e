"""Norms that take their statistics from elsewhere."""

import pytest
import torch

from unpaired.networks import GeneratorConfig, build_generator
from unpaired.translation.norms import normed_by, pooled


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_generator(
        GeneratorConfig(norm="instance-affine"), 3, 3, filters=4, blocks=2
    ).eval()


@torch.no_grad()
def test_of_one_image_its_own_statistics_change_nothing(network):
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    alone = network(x)
    with normed_by(network, lambda _, features: pooled(features)):
        assert torch.allclose(network(x), alone, atol=1e-5)
    assert torch.equal(network(x), alone)  # and they are as before


@torch.no_grad()
def test_kept_statistics_give_the_middle_of_a_piece_as_in_the_whole(network):
    x = torch.rand(1, 3, 128, 128) * 2 - 1
    kept = {}

    def keep(place, features):
        kept[place] = pooled(features)
        return kept[place]

    with normed_by(network, keep):
        whole = network(x)
    with normed_by(network, lambda place, _: kept[place]):
        piece = network(x[:, :, 32:128, 32:128])
    assert torch.allclose(piece[:, :, 32:64, 32:64], whole[:, :, 64:96, 64:96], atol=1e-5)
    assert not torch.allclose(network(x[:, :, 32:128, 32:128]), piece, atol=1e-3)


def test_norms_come_back_even_after_an_error(network):
    with pytest.raises(RuntimeError), normed_by(network, lambda *_: 1 / 0):
        raise RuntimeError
    network(torch.rand(1, 3, 16, 16))
