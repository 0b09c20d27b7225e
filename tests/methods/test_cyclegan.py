"""CycleGAN is the paper's: its equations, its gradients, its ablations."""

import pytest
import torch
from benchmarks.naive import losses_and_gradients

from unpaired.errors import UserError
from unpaired.methods import CycleGAN
from unpaired.methods.cyclegan import CycleGANConfig, CycleLoss
from unpaired.networks import DiscriminatorConfig, GeneratorConfig
from unpaired.training.config import TrainConfig
from unpaired.training.presets import apply_preset


def make(loss: CycleLoss | None = None, x: int = 3, y: int = 3, **generator: object) -> CycleGAN:
    torch.manual_seed(0)
    settings = CycleGANConfig(
        filters=4,
        blocks=2,
        generator=GeneratorConfig(**generator),
        discriminator=DiscriminatorConfig(filters=4, layers=2),
        loss=loss or CycleLoss(),
    )
    return CycleGAN(settings, channels_x=x, channels_y=y, size=32)


def make_batch(x: int = 3, y: int = 3) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    return {
        "x": torch.rand(2, x, 32, 32, generator=rng) * 2 - 1,
        "y": torch.rand(2, y, 32, 32, generator=rng) * 2 - 1,
    }


def all_losses(method: CycleGAN, batch: dict) -> tuple[dict, dict]:
    """The losses of both players, and every parameter's gradient, as the trainer takes them."""
    made = method.generate(batch)
    losses, gradients = {}, {}
    for player in method.players:
        own = {
            name: p
            for name, p in method.named_parameters()
            if p.requires_grad
            and any(p is q for network in method.networks(player) for q in network.parameters())
        }
        terms = method.losses(player, batch, made)
        losses |= terms
        if terms:
            grads = torch.autograd.grad(
                sum(terms.values()), list(own.values()), retain_graph=True, allow_unused=True
            )
            gradients |= dict(zip(own, grads))
        made = {k: v.detach() for k, v in made.items()}
    return losses, gradients


def test_a_step_gives_the_losses_and_gradients_of_the_naive_step_to_1e_5():
    """One network call per image set in float32 against batched calls."""
    method, batch = make(CycleLoss(identity=5.0)), make_batch()
    ours, our_gradients = all_losses(method, batch)
    naive, naive_gradients = losses_and_gradients(method, batch, cycle=10.0, identity=5.0)
    assert ours.keys() == naive.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], naive[name], rtol=1e-5, atol=1e-5)
    resting = {name for name, p in method.named_parameters() if not p.requires_grad}
    assert our_gradients.keys() == naive_gradients.keys() - resting
    assert all(naive_gradients[name].abs().max() < 1e-5 for name in resting)  # rounding noise
    for name, gradient in our_gradients.items():
        scale = naive_gradients[name].abs().max().clamp(min=1)
        torch.testing.assert_close(
            gradient / scale, naive_gradients[name] / scale, rtol=1e-5, atol=1e-5, msg=name
        )


def test_losses_equal_the_papers_equations_written_out():
    method, batch = make(), make_batch()
    G, F, D_X, D_Y, x, y = (*method.children(), batch["x"], batch["y"])
    assert (G, F, D_X, D_Y) == (method.G, method.F, method.D_X, method.D_Y)
    losses, _ = all_losses(method, batch)
    n = x.numel()
    expected = {
        "gan_G": ((D_Y(G(x)) - 1) ** 2).mean(),
        "gan_F": ((D_X(F(y)) - 1) ** 2).mean(),
        "cycle_x": 10 * (F(G(x)) - x).abs().sum() / n,
        "cycle_y": 10 * (G(F(y)) - y).abs().sum() / n,
        "D_X": (((D_X(x) - 1) ** 2).mean() + (D_X(F(y)) ** 2).mean()) / 2,
        "D_Y": (((D_Y(y) - 1) ** 2).mean() + (D_Y(G(x)) ** 2).mean()) / 2,
    }
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, rtol=1e-5, atol=1e-5, msg=name)


@pytest.mark.parametrize("term", ["cycle_x", "cycle_y"])
def test_each_cycle_term_reaches_both_generators(term):
    method, batch = make(), make_batch()
    made = method.generate(batch)
    loss = method.losses("generators", batch, made)[term]
    for network in (method.G, method.F):
        gradients = torch.autograd.grad(loss, network.model[1].weight, retain_graph=True)
        assert all(g.abs().sum() > 0 for g in gradients)


@pytest.mark.parametrize(
    ("loss", "terms"),
    [
        (CycleLoss(gan=0.0), {"cycle_x", "cycle_y"}),
        (CycleLoss(cycle=0.0), {"gan_G", "gan_F", "D_X", "D_Y"}),
        (CycleLoss(cycle_y=0.0), {"gan_G", "gan_F", "cycle_x", "D_X", "D_Y"}),
        (CycleLoss(cycle_x=0.0), {"gan_G", "gan_F", "cycle_y", "D_X", "D_Y"}),
    ],
    ids=["cycle alone", "GAN alone", "GAN + forward cycle", "GAN + backward cycle"],
)
def test_the_ablations_of_table_4_compute_their_terms_and_no_others(loss, terms):
    losses, _ = all_losses(make(loss), make_batch())
    assert losses.keys() == terms


@pytest.mark.parametrize(
    ("preset", "loss"),
    [
        ("cycle-alone", CycleLoss(gan=0.0)),
        ("gan-alone", CycleLoss(cycle_x=0.0, cycle_y=0.0)),
        ("gan-forward-cycle", CycleLoss(cycle_y=0.0)),
        ("gan-backward-cycle", CycleLoss(cycle_x=0.0)),
        ("painting-to-photo", CycleLoss(identity=5.0)),
    ],
)
def test_a_preset_named_for_a_row_of_the_paper_has_its_weights(preset, loss):
    """Forward cycle is |F(G(x)) - x|, backward |G(F(y)) - y| (Zhu et al. 2017, sec. 3.2)."""
    config = TrainConfig(settings=CycleGANConfig())
    assert apply_preset(config, preset).settings == CycleGANConfig(loss=loss)


def test_every_term_has_its_own_weight():
    weights = CycleLoss(gan=2.0, cycle_x=3.0, cycle_y=5.0, identity_x=7.0, identity_y=11.0)
    method, batch = make(weights), make_batch()
    G, F, D_X, D_Y, x, y = (*method.children(), batch["x"], batch["y"])
    losses, _ = all_losses(method, batch)
    expected = {
        "gan_G": 2 * ((D_Y(G(x)) - 1) ** 2).mean(),
        "gan_F": 2 * ((D_X(F(y)) - 1) ** 2).mean(),
        "cycle_x": 3 * (F(G(x)) - x).abs().mean(),
        "cycle_y": 5 * (G(F(y)) - y).abs().mean(),
        "identity_x": 7 * (F(x) - x).abs().mean(),
        "identity_y": 11 * (G(y) - y).abs().mean(),
    }
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, rtol=1e-5, atol=1e-5, msg=name)


@pytest.mark.parametrize("kind", ["lsgan", "log", "hinge", "wgan-gp"])
def test_every_adversarial_loss_gives_finite_gradients_to_its_player(kind):
    losses, gradients = all_losses(make(CycleLoss(adversarial=kind)), make_batch())
    assert ("D_X_penalty" in losses) == (kind == "wgan-gp")
    assert all(g is None or g.isfinite().all() for g in gradients.values())
    assert all(value.dtype is torch.float32 for value in losses.values())


@pytest.mark.parametrize(("x", "y"), [(1, 3), (3, 1), (2, 5)])
def test_domains_may_differ_in_channels(x, y):
    method, batch = make(x=x, y=y), make_batch(x, y)
    assert method.translate(batch["x"], "x2y").shape == batch["y"].shape
    assert method.translate(batch["y"], "y2x").shape == batch["x"].shape
    losses, _ = all_losses(method, batch)
    assert all(value.isfinite() for value in losses.values())


def test_the_identity_term_refuses_domains_that_differ_in_channels():
    with pytest.raises(UserError, match="identity"):
        make(CycleLoss(identity=5.0), x=1)


def test_batch_norm_sees_every_image_set_alone():
    """Concatenating image sets would mix their statistics; then calls are made one by one."""
    method, batch = make(CycleLoss(identity=5.0), norm="batch").train(), make_batch()
    made = method.generate(batch)
    torch.testing.assert_close(made["fake_y"], method.G(batch["x"]))


@pytest.mark.parametrize(("size", "blocks"), [(128, 6), (255, 6), (256, 9), (512, 9)])
def test_the_number_of_blocks_follows_the_image_size_as_in_the_paper(size, blocks):
    method = CycleGAN(CycleGANConfig(filters=2), channels_x=3, channels_y=3, size=size)
    count = sum("conv_block.1.weight" in key for key in method.G.state_dict())
    assert count == blocks


@pytest.mark.parametrize("change", [{"gan": -1.0}, {"cycle": float("nan")}, {"identity_x": -5.0}])
def test_negative_weights_are_refused(change):
    with pytest.raises(UserError, match="--loss"):
        CycleLoss(**change)


def test_switching_everything_off_is_refused():
    with pytest.raises(UserError, match="every loss term"):
        CycleLoss(gan=0.0, cycle=0.0)


@pytest.mark.parametrize("field", ["filters", "blocks"])
def test_negative_sizes_are_refused(field):
    with pytest.raises(UserError, match=f"--{field}"):
        CycleGANConfig(**{field: -1})
