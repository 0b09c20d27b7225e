"""Averaged weights are the average they claim to be."""

import torch
from torch import nn

from unpaired.training.ema import EMA


def test_the_average_follows_its_equation():
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    ema, expected = EMA({"G": layer}, decay=0.9), layer.weight.detach().clone()
    for step in range(1, 40):
        with torch.no_grad():
            layer.weight.add_(torch.randn_like(layer.weight))
        ema.update(step)
        d = min(0.9, (1 + step) / (10 + step))
        expected = d * expected + (1 - d) * layer.weight.detach()
    torch.testing.assert_close(ema.average["G.weight"], expected)


def test_applied_weights_are_the_average_and_the_own_ones_come_back_even_after_an_error():
    layer = nn.Linear(3, 2)
    ema = EMA({"G": layer}, decay=0.5)
    with torch.no_grad():
        layer.weight.fill_(7)
    try:
        with ema.applied():
            assert torch.equal(layer.weight, ema.average["G.weight"])
            raise RuntimeError
    except RuntimeError:
        pass
    assert (layer.weight == 7).all()


def test_counts_of_batch_norm_are_copied_not_averaged():
    norm = nn.BatchNorm2d(2)
    ema = EMA({"G": norm}, decay=0.9)
    norm(torch.randn(2, 2, 4, 4))
    norm(torch.randn(2, 2, 4, 4))
    ema.update(1)
    assert ema.average["G.num_batches_tracked"].item() == 2
