"""SimGAN as the CycleGAN paper runs it: fool the critic, stay near the input."""

import pytest
import torch

from tests.methods.tiny import losses_of, tiny_batch, tiny_method
from unpaired.errors import UserError
from unpaired.methods.simgan import SimGANLoss


def test_losses_equal_the_equations_written_out():
    method, batch = tiny_method("simgan", loss={"content": 7.0}), tiny_batch()
    x, y, G, D = batch["x"].numpy(), batch["y"], method.G, method.D_Y
    with torch.no_grad():
        fake = G(batch["x"])
        on_fake, on_real = D(fake).numpy(), D(y).numpy()
        expected = {
            "gan_G": ((on_fake - 1) ** 2).mean(),
            "content_x": 7 * abs(x - fake.numpy()).sum() / x.size,
            "D_Y": 0.5 * ((on_real - 1) ** 2).mean() + 0.5 * (on_fake**2).mean(),
        }
    found = losses_of(method, "generator", batch) | losses_of(method, "discriminator", batch)
    assert {k: v.item() for k, v in found.items()} == pytest.approx(expected, rel=1e-5)


def test_the_content_term_moves_the_generator_alone():
    method, batch = tiny_method("simgan"), tiny_batch()
    named = {n: p for n, p in method.named_parameters() if p.requires_grad}
    loss = losses_of(method, "generator", batch)["content_x"]
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    assert {n.split(".")[0] for n, g in zip(named, found) if g is not None} == {"G"}


def test_the_default_weight_is_cyclegans_lambda():
    assert (SimGANLoss().gan, SimGANLoss().content) == (1.0, 10.0)


def test_the_discriminator_is_shown_a_history_of_fakes():
    assert tiny_method("simgan").remembered == ("fake_y",)


def test_terms_of_weight_zero_are_not_computed():
    batch = tiny_batch()
    assert losses_of(tiny_method("simgan", loss={"content": 0.0}), "generator", batch).keys() == {
        "gan_G"
    }
    without = tiny_method("simgan", loss={"gan": 0.0})
    assert losses_of(without, "generator", batch).keys() == {"content_x"}
    assert losses_of(without, "discriminator", batch) == {}


def test_wrong_settings_are_refused_in_one_line():
    with pytest.raises(UserError, match="content term needs equal channels"):
        tiny_method("simgan", x=1)
    tiny_method("simgan", x=1, loss={"content": 0.0})
    with pytest.raises(UserError, match=r"--loss\.content"):
        SimGANLoss(content=-1.0)
    with pytest.raises(UserError, match="every loss term"):
        SimGANLoss(gan=0.0, content=0.0)
