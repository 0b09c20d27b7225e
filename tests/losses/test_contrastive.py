"""PatchNCE has its known values."""

import math

import pytest
import torch

from unpaired.losses import patch_nce


@pytest.mark.parametrize("tau", [0.07, 0.5, 2.0])
def test_patches_that_equal_their_keys_and_differ_from_the_others_have_a_known_loss(tau):
    """S orthogonal unit vectors: -log(e^(1/tau) / (e^(1/tau) + S - 1))."""
    eye = torch.eye(4)[None]
    expected = math.log(1 + 3 * math.exp(-1 / tau))
    assert patch_nce(eye, eye, tau).item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_patches_that_cannot_be_told_apart_cost_the_logarithm_of_their_number():
    same = torch.ones(2, 8, 1)
    assert patch_nce(same, same, 0.07).item() == pytest.approx(math.log(8), rel=1e-5)


def test_negatives_come_from_the_same_image():
    """What the other images of the batch hold does not matter."""
    queries, keys = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    each = [patch_nce(queries[i : i + 1], keys[i : i + 1], 0.1) for i in range(2)]
    torch.testing.assert_close(patch_nce(queries, keys, 0.1), torch.stack(each).mean())


def test_gradients_reach_the_queries_and_not_the_keys():
    queries, keys = (torch.randn(1, 5, 3, requires_grad=True) for _ in range(2))
    loss = patch_nce(queries, keys, 0.1)
    assert loss.dtype is torch.float32
    of_queries, of_keys = torch.autograd.grad(loss, [queries, keys], allow_unused=True)
    assert of_keys is None
    assert of_queries.abs().sum() > 0
