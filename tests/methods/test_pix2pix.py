"""pix2pix is Isola et al.'s: a critic of pairs, an L1 to the partner, noise by dropout."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import nn

from tests.evaluation.corners import Corners
from tests.methods.tiny import losses_of, tiny_batch, tiny_method
from tests.training.runs import write_pictures
from unpaired.errors import UserError
from unpaired.evaluation.instruments import Instruments
from unpaired.evaluation.reporting.report import write_report
from unpaired.methods import METHODS
from unpaired.methods.pix2pix import Pix2PixConfig, Pix2PixLoss
from unpaired.networks import GeneratorConfig
from unpaired.training.config import from_dict
from unpaired.training.run import train
from unpaired.training.samples import sample_columns

SILENT = {"dropout": False}


def without_dropout(**changes: object) -> nn.Module:
    return tiny_method("pix2pix", generator=SILENT, **changes)


def test_losses_equal_the_equations_written_out():
    """Eq. 1 as minimised (sec. 3.3: log D(x, G(x)) maximised, D halved), eq. 3 and 4."""
    method, batch = without_dropout(loss={"gan": 2.0, "l1": 50.0}), tiny_batch()
    x, y = batch["x"], batch["y"]
    with torch.no_grad():
        fake = method.G(x)
        of_real, of_fake = (
            torch.sigmoid(method.D(torch.cat([x, other], 1))).double().numpy()
            for other in (y, fake)
        )
    expected = {
        "gan_G": -2 * np.log(of_fake).mean(),
        "l1_G": 50 * np.abs(y.numpy() - fake.numpy()).sum() / y.numel(),
        "D": -(np.log(of_real).mean() + np.log(1 - of_fake).mean()) / 2,
    }
    found = losses_of(method, "generator", batch) | losses_of(method, "discriminator", batch)
    assert {k: v.item() for k, v in found.items()} == pytest.approx(expected, rel=1e-5)


def test_the_critic_sees_the_input_beside_the_output():
    """The same output beside another input gets other scores: it is conditional."""
    method, batch = without_dropout(), tiny_batch()
    made = method.generate(batch)
    other = {**batch, "x": batch["x"].flip(0)}
    for player in method.players:
        one, two = (method.losses(player, b, made) for b in (batch, other))
        term = {"generator": "gan_G", "discriminator": "D"}[player]
        assert not torch.allclose(one[term], two[term])


def test_the_l1_term_moves_the_generator_alone_and_the_adversarial_term_both_ways():
    method, batch = tiny_method("pix2pix"), tiny_batch()
    named = {n: p for n, p in method.named_parameters() if p.requires_grad}
    reached = {}
    for player in method.players:
        for term, loss in losses_of(method, player, batch).items():
            found = torch.autograd.grad(
                loss, list(named.values()), allow_unused=True, retain_graph=True
            )
            reached[term] = {n.split(".")[0] for n, g in zip(named, found) if g is not None}
    assert reached["l1_G"] == {"G"}
    assert reached["gan_G"] == {"G", "D"}  # the trainer takes those of G alone
    assert method.remembered == ()  # the critic sees no history


def test_terms_of_weight_zero_are_not_computed():
    batch = tiny_batch()
    without = tiny_method("pix2pix", loss={"gan": 0.0})
    assert losses_of(without, "generator", batch).keys() == {"l1_G"}
    assert losses_of(without, "discriminator", batch) == {}
    without = tiny_method("pix2pix", loss={"l1": 0.0})
    assert losses_of(without, "generator", batch).keys() == {"gan_G"}


@pytest.mark.parametrize("kind", ["lsgan", "log", "hinge", "wgan-gp"])
def test_every_adversarial_loss_serves(kind):
    method = tiny_method("pix2pix", loss={"adversarial": kind})
    terms = losses_of(method, "discriminator", tiny_batch())
    assert ("D_penalty" in terms) == (kind == "wgan-gp")
    assert all(value.isfinite() for value in terms.values())


def test_the_default_networks_are_the_papers_at_every_size():
    settings = Pix2PixConfig()
    assert (settings.generator.kind, settings.generator.norm) == ("unet", "instance-affine")
    assert settings.generator.dropout
    assert settings.discriminator.norm == "batch"
    assert settings.loss == Pix2PixLoss(adversarial="log", gan=1.0, l1=100.0)
    for size, depth in ((256, 8), (128, 7), (64, 6)):
        assert tiny_method("pix2pix", size=size).multiple == 2**depth


def test_a_part_of_the_settings_leaves_the_papers_generator_for_the_rest():
    tree = {"method": "pix2pix", "settings": {"generator": {"depth": 5}}}
    assert from_dict(tree).settings.generator.kind == "unet"
    tree["settings"] = {"generator": {"kind": "resnet", "upsample": "resize"}, "blocks": 2}
    assert from_dict(tree).settings.generator.dropout


def test_a_resnet_serves_as_generator():
    method = tiny_method("pix2pix", blocks=1, generator={"kind": "resnet", "downsamplings": 1})
    assert method.multiple == 2
    assert method.translate(tiny_batch()["x"], "x2y").shape == (2, 3, 16, 16)


def test_noise_is_on_in_training_and_off_when_translating():
    method, x = tiny_method("pix2pix", size=128), tiny_batch(size=128)["x"]
    assert not torch.equal(method.G(x), method.G(x))
    method.eval()
    assert torch.equal(method.translate(x, "x2y"), method.translate(x, "x2y"))


def test_an_image_is_translated_alike_in_any_company():
    method, x = tiny_method("pix2pix").eval(), tiny_batch()["x"]
    together = method.translate(x, "x2y")
    alone = torch.cat([method.translate(x[i : i + 1], "x2y") for i in (1, 0)]).flip(0)
    torch.testing.assert_close(together, alone)


def test_the_generators_norm_is_the_papers_batch_norm_in_its_batches_of_one():
    ours, x = without_dropout(), tiny_batch()["x"][:1]
    papers = tiny_method("pix2pix", generator={**SILENT, "norm": "batch"})
    weights = {k: v for k, v in ours.G.state_dict().items() if k in papers.G.state_dict()}
    papers.G.load_state_dict(weights, strict=False)
    torch.testing.assert_close(papers.train().G(x), ours.eval().G(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("x", "y"), [(1, 3), (3, 1), (2, 5)])
def test_domains_may_differ_in_channels(x, y):
    method, batch = tiny_method("pix2pix", x=x, y=y), tiny_batch(x, y)
    assert method.translate(batch["x"], "x2y").shape == batch["y"].shape
    assert all(value.isfinite() for value in losses_of(method, "generator", batch).values())


def test_wrong_settings_are_refused_in_one_line():
    with pytest.raises(UserError, match=r"--loss\.l1"):
        Pix2PixLoss(l1=-1.0)
    with pytest.raises(UserError, match="every loss term"):
        Pix2PixLoss(gan=0.0, l1=0.0)
    with pytest.raises(UserError, match="--blocks 6 means nothing to a unet"):
        Pix2PixConfig(blocks=6)
    with pytest.raises(UserError, match="means nothing to a unet"):
        from_dict({"method": "pix2pix", "settings": {"generator": {"upsample": "resize"}}})
    GeneratorConfig(upsample="resize")


def test_the_sample_grid_shows_what_should_have_been_made():
    method, batch = tiny_method("pix2pix"), tiny_batch()
    columns = sample_columns(method, batch["x"], batch["y"])
    assert list(columns) == ["x", "G(x)", "y"]
    assert torch.equal(columns["y"], batch["y"])


def test_a_run_learns_what_its_pairs_show(tmp_path):
    """Y is the negative of X: no unpaired loss could tell it from the identity."""
    for split, count in (("train", 24), ("test", 4)):
        folder = write_pictures(tmp_path / "data" / f"{split}A", count, seed=count, size=16)
        (tmp_path / "data" / f"{split}B").mkdir()
        for file in folder.iterdir():
            negative = ImageOps.invert(Image.open(file))
            negative.save(tmp_path / "data" / f"{split}B" / file.name)
    tree = {"method": "pix2pix", "settings": {"filters": 8, "discriminator": {"layers": 1}}}
    tree["settings"]["discriminator"]["filters"] = 4
    tree |= {"data": str(tmp_path / "data"), "steps": 150, "size": 16, "batch": 4, "history": 0}
    tree |= {"optimizer": {"lr": 2e-3}, "precision": "fp32"}
    for swap in (False, True):
        run = train(from_dict({**tree, "swap": swap}), tmp_path / f"swap-{swap}", quiet=True)
        _, judged = write_report(run, Instruments(Corners()))
        (side,) = judged.evaluation.sides
        assert side.scores["run"]["l1"].value < 0.5 * side.scores["input"]["l1"].value
        a, b = (np.asarray(Image.open(tmp_path / f"data/test{d}/00.png")) for d in "AB")
        np.testing.assert_array_equal(side.inputs[0], b if swap else a)
        np.testing.assert_array_equal(side.truth[0], a if swap else b)


def test_dropout_is_half_in_the_deep_levels_of_the_unet():
    """Isola et al. 2017, appendix 6.1."""
    method = METHODS["pix2pix"](METHODS["pix2pix"].Config(), channels_x=3, channels_y=3, size=64)
    rates = [m.p for m in method.G.modules() if isinstance(m, torch.nn.Dropout)]
    assert rates
    assert set(rates) == {0.5}
