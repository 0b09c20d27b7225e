"""Feature loss + GAN: SimGAN with its distance in VGG-16's relu4_2."""

import json

import pytest
import torch

from tests.methods.tiny import SIZE, losses_of, tiny_batch, tiny_method
from tests.training.runs import write_dataset
from unpaired.errors import UserError
from unpaired.methods import feature_gan
from unpaired.methods.feature_gan import FeatureGANLoss
from unpaired.networks.vgg import load_vgg16
from unpaired.training.checkpoint import load_method
from unpaired.training.config import from_dict
from unpaired.training.finding import find_checkpoint
from unpaired.training.run import train


def test_losses_equal_the_equations_written_out():
    method, batch = tiny_method("feature_gan", loss={"features": 0.5}), tiny_batch()
    with torch.no_grad():
        fake = method.G(batch["x"])
        phi_x, phi_fake = (load_vgg16("hed")(i, ["relu4_2"])["relu4_2"] for i in (batch["x"], fake))
        on_fake, on_real = method.D_Y(fake).numpy(), method.D_Y(batch["y"]).numpy()
        expected = {
            "gan_G": ((on_fake - 1) ** 2).mean(),
            "features_x": 0.5 * abs(phi_x.numpy() - phi_fake.numpy()).sum() / phi_x.numel(),
            "D_Y": 0.5 * (((on_real - 1) ** 2).mean() + (on_fake**2).mean()),
        }
    found = losses_of(method, "generator", batch) | losses_of(method, "discriminator", batch)
    assert {k: v.item() for k, v in found.items()} == pytest.approx(expected, rel=1e-5)


def test_the_default_weights_are_those_of_the_docs():
    assert (FeatureGANLoss().gan, FeatureGANLoss().features) == (1.0, 1.0)


def test_the_feature_term_moves_the_generator_alone_and_the_features_are_frozen():
    method, batch = tiny_method("feature_gan"), tiny_batch()
    named = {n: p for n, p in method.named_parameters() if p.requires_grad}
    loss = losses_of(method, "generator", batch)["features_x"]
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    assert {n.split(".")[0] for n, g in zip(named, found) if g is not None} == {"G"}
    assert not [n for n in named if n.startswith("phi")]


def test_domains_may_be_grey_or_colour_and_nothing_else():
    method, batch = tiny_method("feature_gan", x=1), tiny_batch(x=1)
    assert losses_of(method, "generator", batch)["features_x"].isfinite()
    with pytest.raises(UserError, match="VGG-16 reads grey and colour"):
        tiny_method("feature_gan", x=2)
    tiny_method("feature_gan", x=2, loss={"features": 0.0})


def run_of(tmp_path, **changes):
    data = tmp_path / "data"
    if not data.exists():
        write_dataset(data)
    networks = {"filters": 2, "blocks": 1, "discriminator": {"filters": 2, "layers": 1}}
    tree = {"method": "feature_gan", "settings": {**networks, "features": "auto"}}
    tree |= {"data": str(data), "size": SIZE, "precision": "fp32", "steps": 1}
    return from_dict({**tree, **changes})


def test_the_run_says_which_features_it_used_and_refuses_to_go_on_with_others(
    tmp_path, monkeypatch, capsys
):
    hed = load_vgg16("hed")
    monkeypatch.setattr(feature_gan, "load_vgg16", lambda source: hed)
    train(run_of(tmp_path), tmp_path / "run")
    assert "features: VGG16-HED relu4_2" in capsys.readouterr().err
    state = json.loads((find_checkpoint(tmp_path / "run") / "state.json").read_text())
    assert state["run"]["prepared"] == "features: VGG16-HED relu4_2"
    monkeypatch.setattr(hed, "name", "VGG16-ImageNet")
    with pytest.raises(UserError, match=r"VGG16-HED.*VGG16-ImageNet"):
        train(run_of(tmp_path, steps=2), tmp_path / "run", resume=True)


def test_translating_needs_no_features(tmp_path, monkeypatch):
    train(run_of(tmp_path), tmp_path / "run", quiet=True)

    def missing(source):
        raise UserError("no weights")

    monkeypatch.setattr(feature_gan, "load_vgg16", missing)
    method, _ = load_method(find_checkpoint(tmp_path / "run"))
    assert method.translate(tiny_batch()["x"], "x2y").shape == (2, 3, SIZE, SIZE)


def test_wrong_settings_are_refused_in_one_line():
    with pytest.raises(UserError, match=r"--loss\.features"):
        FeatureGANLoss(features=-1.0)
    with pytest.raises(UserError, match="every loss term"):
        FeatureGANLoss(gan=0.0, features=0.0)
