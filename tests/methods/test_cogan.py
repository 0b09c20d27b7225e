"""CoGAN: coupled games, ties that hold, and a search that finds the latent of an image."""

import numpy as np
import pytest
import torch

from tests.methods.tiny import losses_of, own_parameters, tiny_batch, tiny_method
from tests.training.runs import write_dataset
from tests.training.test_resume import assert_same_state
from tests.translation.fakes import card, noise, save
from unpaired.errors import UserError
from unpaired.methods.cogan import CoGAN, CoGANConfig, SearchConfig, squared_distance
from unpaired.training.checkpoint import read_state
from unpaired.training.config import from_dict
from unpaired.training.finding import find_checkpoint
from unpaired.training.run import train
from unpaired.translation.folder import translate_files
from unpaired.translation.network import TorchTranslator
from unpaired.translation.translator import Translator

THOROUGH = {"candidates": 64, "starts": 2, "steps": 200}


def scores(method, batch):
    """f_X and f_Y on real and on generated images, as arrays, one domain and set at a time."""
    torch.manual_seed(0)
    z = torch.rand(len(batch["x"]), method.latent) * 2 - 1
    f, g = method.f, method.g
    with torch.no_grad():
        content = g.trunk(z)
        return (
            f.trunk(f.stem_x(batch["x"])).double().numpy(),
            f.trunk(f.stem_x(g.head_x(content))).double().numpy(),
            f.trunk(f.stem_y(batch["y"])).double().numpy(),
            f.trunk(f.stem_y(g.head_y(content))).double().numpy(),
        )


def test_losses_equal_both_games_in_their_least_squares_form():
    method, batch = tiny_method("cogan"), tiny_batch()
    real_x, fake_x, real_y, fake_y = scores(method, batch)
    expected = {
        "gan_x": ((fake_x - 1) ** 2).mean(),
        "gan_y": ((fake_y - 1) ** 2).mean(),
        "D_X": 0.5 * (((real_x - 1) ** 2).mean() + (fake_x**2).mean()),
        "D_Y": 0.5 * (((real_y - 1) ** 2).mean() + (fake_y**2).mean()),
    }
    found = losses_of(method, "generators", batch) | losses_of(method, "discriminators", batch)
    assert {k: v.item() for k, v in found.items()} == pytest.approx(expected, rel=1e-5)


def test_losses_equal_both_games_as_written_in_their_logarithmic_form():
    method, batch = tiny_method("cogan", loss={"adversarial": "log"}), tiny_batch()
    real_x, fake_x, real_y, fake_y = (1 / (1 + np.exp(-s)) for s in scores(method, batch))
    expected = {
        "gan_x": -np.log(fake_x).mean(),
        "gan_y": -np.log(fake_y).mean(),
        "D_X": -0.5 * (np.log(real_x).mean() + np.log(1 - fake_x).mean()),
        "D_Y": -0.5 * (np.log(real_y).mean() + np.log(1 - fake_y).mean()),
    }
    found = losses_of(method, "generators", batch) | losses_of(method, "discriminators", batch)
    assert {k: v.item() for k, v in found.items()} == pytest.approx(expected, rel=1e-5)


def test_latents_are_uniform_in_the_cube_and_one_for_both_domains():
    method = tiny_method("cogan", latent=500)
    seen = []
    method.g.trunk.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    made = method.generate(tiny_batch())
    (z,) = seen
    assert z.shape == (2, 500)
    assert z.abs().max() <= 1
    assert z.mean().item() == pytest.approx(0, abs=0.06)
    assert z.var().item() == pytest.approx(1 / 3, rel=0.1)
    assert made["fake_x"].shape == made["fake_y"].shape == (2, 3, 16, 16)


def test_each_term_moves_the_trunk_and_its_own_head_or_stem():
    method, batch = tiny_method("cogan"), tiny_batch()
    for player, terms, tied, own in (
        ("generators", ("gan_x", "gan_y"), "g.trunk", "g.head"),
        ("discriminators", ("D_X", "D_Y"), "f.trunk", "f.stem"),
    ):
        losses, named = losses_of(method, player, batch), own_parameters(method, player)
        for term, domain in zip(terms, "xy"):
            found = torch.autograd.grad(
                losses[term], list(named.values()), allow_unused=True, retain_graph=True
            )
            moved = {".".join(n.split(".")[:2]) for n, g in zip(named, found) if g is not None}
            assert moved == {tied, f"{own}_{domain}"}


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_ties_hold_after_50_steps_and_after_a_resume(norm, tmp_path):
    """One tensor renders for both domains, and a checkpoint holds it once."""
    data, out = write_dataset(tmp_path / "data"), tmp_path / "run"
    tree = {"method": "cogan", "data": str(data), "size": 16, "batch": 2, "ema": 0.9}
    settings = {"filters": 2, "latent": 4, "norm": norm, "search": {"steps": 1}}
    tree |= {"settings": settings, "precision": "fp32"}
    train(from_dict({**tree, "steps": 50}), out, quiet=True)
    before = read_state(find_checkpoint(out))[1].tensors
    train(from_dict({**tree, "steps": 60}), out, resume=True, quiet=True)
    after = read_state(find_checkpoint(out))[1].tensors
    parts = {"g.trunk", "g.head_x", "g.head_y", "f.trunk", "f.stem_x", "f.stem_y"}
    for tensors in (before, after):
        assert {".".join(name.split(".")[:2]) for name in tensors["weights"]} == parts
        assert {".".join(name.split(".")[:2]) for name in tensors["ema"]} == {
            part for part in parts if part.startswith("g")
        }
    first = "g.trunk.0.weight"
    assert not torch.equal(before["weights"][first], after["weights"][first])
    method = Translator.load(out).in_torch().method
    real, z = tiny_batch()["x"], torch.rand(1, 4)
    with torch.no_grad():
        images, judged = method.g(z), [method.f.of(domain)(real) for domain in "xy"]
        for trunk in (method.g.trunk, method.f.trunk):
            next(trunk.parameters()).neg_()
        for old, new in zip(images, method.g(z)):
            assert not torch.equal(old, new)
        for old, domain in zip(judged, "xy"):
            assert not torch.equal(old, method.f.of(domain)(real))


def spread(method):
    """Make an untrained generator's renderings differ, as a trained one's do."""
    with torch.no_grad():
        for name, parameter in method.g.named_parameters():
            if name.endswith("weight"):
                parameter.mul_(0.2 / parameter.std())
    return method.eval()


def test_the_search_finds_the_latent_of_an_image_that_the_generator_made():
    method = spread(tiny_method("cogan", search=THOROUGH))
    z = 2 * torch.rand(3, method.latent, generator=torch.Generator().manual_seed(5)) - 1
    with torch.no_grad():
        x, y = method.g(z)
        for given, wanted, direction in ((x, y, "x2y"), (y, x, "y2x")):
            found = method.translate(given, direction)
            apart = (wanted - wanted.flip(0)).square().mean()
            assert (found - wanted).square().mean() < 0.01 * apart


def test_more_starts_and_more_steps_bring_an_image_nearer():
    def distance(**search):
        method = spread(tiny_method("cogan", search=search))
        images = tiny_batch(seed=3)["x"]
        with torch.no_grad():
            method.g.head_y.load_state_dict(method.g.head_x.state_dict())  # to see the rendering
            return (method.translate(images, "x2y") - images).square().mean().item()

    none = distance(candidates=1, starts=1, steps=0)
    nearest = distance(candidates=64, starts=1, steps=0)
    refined = distance(candidates=64, starts=1, steps=30)
    restarted = distance(candidates=64, starts=4, steps=30)
    assert none > nearest > refined > restarted


def test_translating_is_the_same_every_time_and_leaves_training_alone():
    method, images = spread(tiny_method("cogan")), tiny_batch()["x"]
    trained = [p.requires_grad for p in method.parameters()]
    torch.manual_seed(7)
    state = torch.get_rng_state()
    with torch.no_grad():
        once, again = method.translate(images, "x2y"), method.translate(images, "x2y")
    assert torch.equal(once, again)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in method.parameters())
    assert [p.requires_grad for p in method.parameters()] == trained
    assert not once.requires_grad


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_a_translation_does_not_depend_on_the_rest_of_its_batch(norm):
    method = spread(tiny_method("cogan", norm=norm))
    images = torch.cat([tiny_batch(seed=seed)["x"] for seed in range(3)])
    with torch.no_grad():
        together = method.translate(images, "x2y")
        alone = torch.cat([method.translate(image[None], "x2y") for image in images])
    assert torch.equal(together, alone)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_search_works_where_gradients_are_off_and_under_autocast(context):
    method, images = spread(tiny_method("cogan")), tiny_batch()["x"]
    with torch.no_grad():
        expected = method.translate(images, "x2y")
    with context():
        images = images.clone()  # an inference tensor, under inference mode
        plain = method.translate(images, "x2y")
        with torch.autocast("cpu", torch.bfloat16):
            rough = method.translate(images, "x2y")
    assert torch.equal(plain, expected)
    assert (rough.float() - expected).abs().mean() < 0.02
    assert all(p.grad is None for p in method.parameters())


def test_after_translating_in_inference_mode_it_can_still_be_trained():
    method, batch = spread(tiny_method("cogan")), tiny_batch()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        method.translate(batch["x"].clone(), "x2y")
    losses = losses_of(method.train(), "generators", batch)
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in own_parameters(method, "generators").values())


def test_domains_may_differ_in_channels():
    method, batch = tiny_method("cogan", x=1, y=4).eval(), tiny_batch(1, 4)
    with torch.no_grad():
        assert method.translate(batch["x"], "x2y").shape == batch["y"].shape
        assert method.translate(batch["y"], "y2x").shape == batch["x"].shape


def test_pictures_larger_than_the_training_size_are_refused_in_one_line():
    method = tiny_method("cogan")
    assert method.multiple == 16
    with pytest.raises(UserError, match="larger than 16 x 16; scale or crop it"):
        method.translate(torch.zeros(1, 3, 32, 32), "x2y")


@pytest.mark.parametrize("size", [20, 40, 100])
def test_a_training_size_that_is_no_multiple_of_16_is_refused(size):
    with pytest.raises(UserError, match=f"--size is {size}, but cogan needs a multiple of 16"):
        tiny_method("cogan", size=size)


@pytest.mark.parametrize(
    "make",
    [
        lambda: CoGANConfig(latent=0),
        lambda: CoGANConfig(filters=-1),
        lambda: CoGANConfig(init_gain=0.0),
        lambda: SearchConfig(starts=0),
        lambda: SearchConfig(candidates=1, starts=2),
        lambda: SearchConfig(steps=-1),
    ],
)
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(UserError, match="--"):
        make()


@pytest.mark.parametrize("kind", ["lsgan", "log", "hinge", "wgan-gp"])
def test_every_adversarial_form_gives_finite_gradients(kind):
    method, batch = tiny_method("cogan", loss={"adversarial": kind}), tiny_batch()
    for player in method.players:
        losses = losses_of(method, player, batch)
        named = own_parameters(method, player)
        found = torch.autograd.grad(sum(losses.values()), list(named.values()), allow_unused=True)
        assert all(g is None or g.isfinite().all() for g in found)


def test_files_larger_than_the_training_size_are_reported_and_the_rest_is_translated(tmp_path):
    method = spread(tiny_method("cogan"))
    about = card(method="cogan", multiple=16)
    translator = TorchTranslator(method, about, torch.device("cpu"), "fp32")
    for name, (height, width) in {"fits": (16, 16), "less": (12, 9), "large": (20, 16)}.items():
        save(tmp_path / "in" / f"{name}.png", noise(height, width))
    summary = translate_files(translator, [tmp_path / "in"], tmp_path / "out", batch=3)
    assert summary.translated == 2
    ((place, reason),) = summary.failed
    assert place.name == "large.png"
    assert reason.endswith("larger than 16 x 16; scale or crop it first")
    assert "\n" not in reason


def test_with_batch_norm_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    """Running statistics are part of what a latent is searched with."""
    data = write_dataset(tmp_path / "data")
    tree = {"method": "cogan", "data": str(data), "size": 16, "batch": 2, "ema": 0.9}
    tree |= {"settings": {"filters": 2, "latent": 4, "norm": "batch", "search": {"steps": 1}}}
    tree |= {"schedule": {"kind": "constant"}}
    for out, ends in (("whole", [6]), ("parted", [3, 6])):
        for steps in ends:
            train(from_dict({**tree, "steps": steps}), tmp_path / out, resume=True, quiet=True)
    assert_same_state(*(find_checkpoint(tmp_path / out) for out in ("whole", "parted")))


def test_the_search_measures_squared_distances_and_fakes_of_both_domains_are_remembered():
    rendered = torch.tensor([[1.0, -2.0], [4.0, 2.0]]).view(2, 2, 1, 1)
    image = torch.tensor([4.0, 2.0])
    assert squared_distance(rendered, image.view(2, 1, 1)).tolist() == [3.0**2 + 4.0**2, 0.0]
    assert set(CoGAN.remembered) == {"fake_x", "fake_y"}
