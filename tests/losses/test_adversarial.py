"""Every loss equals its equation, written out in NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from unpaired.losses import ADVERSARIAL, gradient_penalty, l1

RNG = np.random.default_rng(0)
REAL, FAKE = RNG.normal(size=(2, 1, 5, 5)), RNG.normal(size=(2, 1, 5, 5))


def sigmoid(score: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-score))


D_LOSSES = {
    "lsgan": 0.5 * (((REAL - 1) ** 2).mean() + (FAKE**2).mean()),
    "log": 0.5 * (-np.log(sigmoid(REAL)).mean() - np.log(1 - sigmoid(FAKE)).mean()),
    "hinge": 0.5 * (np.maximum(0, 1 - REAL).mean() + np.maximum(0, 1 + FAKE).mean()),
    "wgan-gp": FAKE.mean() - REAL.mean(),
}
G_LOSSES = {
    "lsgan": ((FAKE - 1) ** 2).mean(),
    "log": -np.log(sigmoid(FAKE)).mean(),
    "hinge": -FAKE.mean(),
    "wgan-gp": -FAKE.mean(),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_losses_equal_their_equations(name):
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    loss = ADVERSARIAL[name]
    assert loss.discriminator(real, fake).item() == pytest.approx(D_LOSSES[name], rel=1e-5)
    assert loss.generator(fake).item() == pytest.approx(G_LOSSES[name], rel=1e-5)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_losses_are_float32_scalars_whatever_they_are_given(name):
    scores = torch.randn(1, 1, 3, 3, dtype=torch.bfloat16)
    for value in (
        ADVERSARIAL[name].discriminator(scores, scores),
        ADVERSARIAL[name].generator(scores),
        l1(scores, scores + 1),
    ):
        assert value.dtype is torch.float32
        assert value.shape == ()


@given(score=st.floats(-100, 100))
def test_the_log_loss_has_finite_values_and_gradients_however_sure_the_discriminator_is(score):
    real = torch.tensor([[[[score]]]], requires_grad=True)
    loss = ADVERSARIAL["log"]
    for value in (loss.discriminator(real, real), loss.generator(real)):
        (gradient,) = torch.autograd.grad(value, real)
        assert value.isfinite()
        assert gradient.isfinite()


def test_the_non_saturating_generator_still_learns_when_the_discriminator_is_sure():
    score = torch.tensor([[[[-50.0]]]], requires_grad=True)
    (gradient,) = torch.autograd.grad(ADVERSARIAL["log"].generator(score), score)
    assert gradient.item() == pytest.approx(-1)


def test_the_gradient_penalty_of_a_linear_critic_is_known():
    """D(z) = <w, z> has slope |w| everywhere."""
    critic = nn.Conv2d(3, 1, 4, bias=False)
    slope = critic.weight.norm().item()
    real, fake = torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4)
    penalty = gradient_penalty(critic, real, fake)
    assert penalty.item() == pytest.approx((slope - 1) ** 2, rel=1e-4)
    (gradient,) = torch.autograd.grad(penalty, critic.weight)
    expected = 2 * (slope - 1) * critic.weight / slope
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5)


def test_the_gradient_penalty_is_computed_in_float32_inside_autocast_too():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Conv2d(3, 8, 4), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 4))
    real, fake = torch.randn(2, 3, 12, 12), torch.randn(2, 3, 12, 12)
    torch.manual_seed(1)
    exact = gradient_penalty(critic, real, fake)
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        inside = gradient_penalty(critic, real, fake)
    assert torch.equal(exact, inside)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_losses_can_be_tried_out_without_numbers(name):
    """On the meta device, as a run does to see whether its networks fit its images."""
    loss, critic = ADVERSARIAL[name], nn.Conv2d(3, 1, 4).to("meta")
    images = torch.zeros(2, 3, 8, 8, device="meta")
    assert loss.discriminator(critic(images), critic(images)).shape == ()
    assert loss.generator(critic(images)).shape == ()
    if loss.penalty:
        assert loss.penalty(critic, images, images).shape == ()


def test_l1_is_the_mean_over_all_elements():
    a, b = RNG.normal(size=(2, 3, 4, 4)), RNG.normal(size=(2, 3, 4, 4))
    assert l1(torch.tensor(a), torch.tensor(b)).item() == pytest.approx(np.abs(a - b).mean())


def test_wgan_gp_weights_its_penalty_by_ten():
    torch.manual_seed(0)
    critic, (real, fake) = nn.Conv2d(3, 1, 3), torch.rand(2, 2, 3, 8, 8)
    torch.manual_seed(1)
    plain = gradient_penalty(critic, real, fake)
    torch.manual_seed(1)
    weighted = ADVERSARIAL["wgan-gp"].penalty(critic, real, fake)
    assert weighted.item() == pytest.approx(10 * plain.item(), rel=1e-6)
