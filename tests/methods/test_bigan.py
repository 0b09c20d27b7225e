"""BiGAN / ALI between images: one discriminator of pairs."""

import numpy as np
import pytest
import torch

from tests.methods.tiny import losses_of, tiny_batch, tiny_method
from tests.training.runs import write_dataset
from unpaired.training.checkpoint import read_state
from unpaired.training.config import from_dict
from unpaired.training.finding import find_checkpoint
from unpaired.training.run import train


def pairs_of(method, batch):
    with torch.no_grad():
        x, y = batch["x"], batch["y"]
        return torch.cat([x, method.G(x)], 1), torch.cat([method.F(y), y], 1)


def test_losses_equal_the_equations_in_their_least_squares_form():
    method, batch = tiny_method("bigan"), tiny_batch()
    pair_x, pair_y = pairs_of(method, batch)
    with torch.no_grad():
        on_x, on_y = method.D(pair_x).numpy(), method.D(pair_y).numpy()
    expected = {
        "gan_G": (on_x**2).mean(),
        "gan_F": ((on_y - 1) ** 2).mean(),
        "D": 0.5 * (((on_x - 1) ** 2).mean() + (on_y**2).mean()),
    }
    found = losses_of(method, "generators", batch) | losses_of(method, "discriminator", batch)
    assert {k: v.item() for k, v in found.items()} == pytest.approx(expected, rel=1e-5)


def test_losses_equal_the_game_as_written_in_its_logarithmic_form():
    """D maximises log D(x, G(x)) + log(1 - D(F(y), y)); G and F the same with the sides swapped."""
    method, batch = tiny_method("bigan", loss={"adversarial": "log"}), tiny_batch()
    pair_x, pair_y = pairs_of(method, batch)
    with torch.no_grad():
        p_x, p_y = (
            (1 / (1 + np.exp(-method.D(pair).numpy().astype(np.float64))))
            for pair in (pair_x, pair_y)
        )
    expected = {
        "gan_G": -np.log(1 - p_x).mean(),
        "gan_F": -np.log(p_y).mean(),
        "D": -0.5 * (np.log(p_x).mean() + np.log(1 - p_y).mean()),
    }
    found = losses_of(method, "generators", batch) | losses_of(method, "discriminator", batch)
    assert {k: v.item() for k, v in found.items()} == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["hinge", "wgan-gp"])
def test_with_critics_each_generator_pushes_its_pairs_scores_to_the_other_side(kind):
    """G lowers D(x, G(x)), F raises D(F(y), y), by as much as they can."""
    method, batch = tiny_method("bigan", loss={"adversarial": kind}), tiny_batch()
    pair_x, pair_y = pairs_of(method, batch)
    with torch.no_grad():
        expected = {"gan_G": method.D(pair_x).mean(), "gan_F": -method.D(pair_y).mean()}
    found = losses_of(method, "generators", batch)
    assert {k: v.item() for k, v in found.items()} == pytest.approx(
        {k: v.item() for k, v in expected.items()}, rel=1e-5, abs=1e-7
    )


def test_each_term_moves_its_own_generator():
    method, batch = tiny_method("bigan"), tiny_batch()
    losses = losses_of(method, "generators", batch)
    for term, owner in (("gan_G", "G"), ("gan_F", "F")):
        named = {n: p for n, p in method.named_parameters() if p.requires_grad}
        found = torch.autograd.grad(losses[term], list(named.values()), allow_unused=True)
        assert {n.split(".")[0] for n, g in zip(named, found) if g is not None} == {owner, "D"}


def test_one_discriminator_judges_the_pairs_of_both_sides_before_and_after_a_resume(tmp_path):
    """The tie of BiGAN: D is one network, stored once, that saw both kinds of pairs."""
    data = write_dataset(tmp_path / "data")
    tree = {
        "method": "bigan",
        "settings": {"filters": 2, "blocks": 1, "discriminator": {"filters": 2, "layers": 1}},
        "data": str(data),
        "size": 16,
        "precision": "fp32",
        "checkpoint_every": 25,
        "sample_every": 1000,
    }
    train(from_dict({**tree, "steps": 50}), tmp_path / "run", quiet=True)
    train(from_dict({**tree, "steps": 52}), tmp_path / "run", resume=True, quiet=True)
    _, state = read_state(find_checkpoint(tmp_path / "run"))
    judges = [n for n in state.tensors["weights"] if n.split(".")[0] not in ("G", "F")]
    assert {n.split(".")[0] for n in judges} == {"D"}
    assert state.tensors["weights"]["D.model.0.weight"].shape[1] == 6
    # pairs are remembered whole: an x is never shown beside the translation of another
    assert state.tensors["history"]["pair_x"].shape[1:] == (6, 16, 16)


def test_domains_may_differ_in_channels():
    method, batch = tiny_method("bigan", x=1, y=4), tiny_batch(x=1, y=4)
    assert method.generate(batch)["pair_x"].shape[1] == 5
    assert method.translate(batch["x"], "x2y").shape == batch["y"].shape
    assert method.translate(batch["y"], "y2x").shape == batch["x"].shape
