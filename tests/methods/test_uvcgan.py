"""UVCGANv2: CycleGAN's objective with a penalty, a batch head, and coarse consistency."""

import numpy as np
import pytest
import torch

from tests.methods.tiny import SIZE, losses_of, tiny_batch, tiny_method
from unpaired.errors import UserError
from unpaired.losses import zero_centred_penalty
from unpaired.methods.uvcgan import TransformerConfig, UVCGANConfig, UVCGANLoss


def settled(name: str = "uvcgan", **changes):
    """A method in evaluation mode: its spectral norms no longer move between two calls."""
    method, batch = tiny_method(name, **changes), tiny_batch()
    for _ in range(5):
        losses_of(method, "discriminators", batch)
    return method.eval(), batch


def test_losses_equal_the_equations_written_out():
    loss = {"cycle": 5.0, "identity": 2.5, "penalty": 0.0, "consistency": 3.0}
    method, batch = settled(loss=loss)
    G, F, D_X, D_Y, x, y = method.G, method.F, method.D_X, method.D_Y, batch["x"], batch["y"]
    found = losses_of(method, "generators", batch) | losses_of(method, "discriminators", batch)
    with torch.no_grad():
        fake_y, fake_x = G(x), F(y)

        def coarse(images):
            blocks = images.numpy().reshape(2, 3, SIZE // 8, 8, SIZE // 8, 8)
            return blocks.mean((3, 5))

        expected = {
            "gan_G": ((D_Y(fake_y) - 1) ** 2).mean(),
            "gan_F": ((D_X(fake_x) - 1) ** 2).mean(),
            "cycle_x": 5 * (F(fake_y) - x).abs().mean(),
            "cycle_y": 5 * (G(fake_x) - y).abs().mean(),
            "identity_x": 2.5 * (F(x) - x).abs().mean(),
            "identity_y": 2.5 * (G(y) - y).abs().mean(),
            "consistency_x": 3 * np.abs(coarse(fake_y) - coarse(x)).mean(),
            "consistency_y": 3 * np.abs(coarse(fake_x) - coarse(y)).mean(),
            "D_X": 0.5 * (((D_X(x) - 1) ** 2).mean() + (D_X(fake_x) ** 2).mean()),
            "D_Y": 0.5 * (((D_Y(y) - 1) ** 2).mean() + (D_Y(fake_y) ** 2).mean()),
        }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(float(value), rel=1e-5, abs=1e-6), name


def test_the_penalty_is_the_squared_slope_of_the_mean_score_by_finite_differences():
    """At the points that the penalty draws, along a random direction and on the whole."""
    torch.manual_seed(0)
    D = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Softplus(), torch.nn.Conv2d(4, 1, 3))
    D = D.double()
    real, fake = (torch.rand(2, 3, 6, 6) for _ in range(2))
    torch.manual_seed(7)
    share = torch.rand(2, 1, 1, 1)
    z = share * real + (1 - share) * fake
    slopes = []
    for image in z.double():
        gradient = torch.zeros_like(image).flatten()
        for k in range(len(gradient)):
            step = torch.zeros_like(gradient)
            step[k] = 1e-5
            up, down = (D((image.flatten() + s).view(1, 3, 6, 6)).mean() for s in (step, -step))
            gradient[k] = (up - down) / 2e-5
        slopes.append((gradient**2).sum())
    torch.manual_seed(7)
    found = zero_centred_penalty(D.float(), real, fake)
    assert found.item() == pytest.approx(torch.stack(slopes).mean().item(), rel=1e-4)


def test_the_penalty_is_added_with_its_weight():
    for weight in (1.0, 3.0):
        method, batch = settled(loss={"penalty": weight})
        made = {k: v.detach() for k, v in method.generate(batch).items()}
        torch.manual_seed(5)
        found = method.losses("discriminators", batch, made)
        torch.manual_seed(5)
        for side in ("x", "y"):
            D = {"x": method.D_X, "y": method.D_Y}[side]
            expected = weight * zero_centred_penalty(D, batch[side], made[f"fake_{side}"])
            got = found[f"D_{side.upper()}_penalty"]
            assert got.item() == pytest.approx(expected.item(), rel=1e-5)
            assert got > 0


def test_the_default_weights_are_the_authors_in_our_range():
    """Theirs, over [0, 1]: cycle 5, identity half of it, penalty 1."""
    loss = UVCGANConfig().loss
    assert (loss.gan, loss.cycle, loss.identity, loss.penalty) == (1.0, 5 / 2, 5 / 4, 1 * 4)


def test_two_gradient_penalties_at_once_are_refused():
    with pytest.raises(UserError, match=r"--loss\.penalty 0"):
        UVCGANLoss(adversarial="wgan-gp")
    UVCGANLoss(adversarial="wgan-gp", penalty=0.0)


def test_the_penalty_moves_the_discriminators_alone():
    method, batch = tiny_method("uvcgan"), tiny_batch()
    losses = losses_of(method, "discriminators", batch)
    assert {"D_X", "D_Y", "D_X_penalty", "D_Y_penalty"} == losses.keys()
    made = {k: v.detach() for k, v in method.generate(batch).items()}
    loss = method.losses("discriminators", batch, made)["D_X_penalty"]
    named = {n: p for n, p in method.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    assert {n.split(".")[0] for n, g in zip(named, found) if g is not None} == {"D_X"}


def test_the_head_tells_images_that_are_all_alike_from_images_that_differ():
    """With one image copied, the batch's variance in the head is the variance within it."""
    method, batch = settled()
    one, other = batch["x"][:1], batch["x"][1:]
    copied, mixed = method.D_X(torch.cat([one, one])), method.D_X(torch.cat([one, other]))
    assert torch.allclose(copied[0], copied[1], atol=1e-5)
    assert not torch.allclose(copied[0], mixed[0], atol=1e-3)


def test_translating_leaves_no_trace_in_the_training():
    method, batch = tiny_method("uvcgan"), tiny_batch()
    before = {k: v.clone() for k, v in method.state_dict().items()}
    method.eval()
    method.translate(batch["x"], "x2y")
    method.translate(batch["y"], "y2x")
    method.train()
    assert all(torch.equal(v, before[k]) for k, v in method.state_dict().items())


def test_domains_that_differ_in_channels_go_without_the_terms_that_compare_them():
    with pytest.raises(UserError, match=r"--loss\.identity 0"):
        tiny_method("uvcgan", x=1)
    with pytest.raises(UserError, match=r"--loss\.consistency 0"):
        tiny_method("uvcgan", x=1, loss={"identity": 0.0, "consistency": 1.0})
    method, batch = tiny_method("uvcgan", x=1, y=4, loss={"identity": 0.0}), tiny_batch(1, 4)
    assert method.translate(batch["x"], "x2y").shape == batch["y"].shape


def test_wrong_settings_are_refused_in_one_line():
    with pytest.raises(UserError, match=r"--transformer\.features is 10"):
        TransformerConfig(features=10, heads=4)
    with pytest.raises(UserError, match=r"--levels is 0"):
        UVCGANConfig(levels=0)
    with pytest.raises(UserError, match=r"--loss\.penalty"):
        UVCGANLoss(penalty=-1.0)
