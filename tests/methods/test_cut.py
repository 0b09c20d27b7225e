"""CUT and FastCUT are the paper's: PatchNCE, eq. 2, 3 and 5, and the flip."""

import math

import numpy as np
import pytest
import torch

from tests.methods.tiny import losses_of, own_parameters, tiny_batch, tiny_method
from unpaired.errors import UserError
from unpaired.methods.cut import FastCUTConfig, NCELoss
from unpaired.networks.projection import PatchProjections, draw_places


def nce_by_hand(queries: np.ndarray, keys: np.ndarray, tau: float) -> float:
    """Eq. 2 for every image and place, one at a time, with its N - 1 negatives; the mean."""
    losses = []
    for v, k in zip(queries, keys):
        for s in range(len(v)):
            positive = math.exp(v[s] @ k[s] / tau)
            negatives = sum(math.exp(v[s] @ k[n] / tau) for n in range(len(k)) if n != s)
            losses.append(-math.log(positive / (positive + negatives)))
    return float(np.mean(losses))


def project_by_hand(head: torch.nn.Module, maps: torch.Tensor, places: torch.Tensor) -> np.ndarray:
    """z = H(features at the places), each divided by its length: (N, S, C)."""
    W1, b1, W2, b2 = (p.detach().numpy() for p in head.parameters())
    maps = maps.numpy()
    vectors = []
    for image in maps:
        rows = []
        for place in places.tolist():
            i, j = divmod(place, maps.shape[3])
            z = W2 @ np.maximum(W1 @ image[:, i, j] + b1, 0) + b2
            rows.append(z / math.sqrt((z**2).sum()))
        vectors.append(np.stack(rows))
    return np.stack(vectors).astype(np.float64)


def expected_nce(method, source, target, places, tau=0.07) -> float:
    """Eq. 3 over the layers of the encoder."""
    with torch.no_grad():
        given, found = method.G.encode(source), method.G.encode(target)
    return float(
        np.mean(
            [
                nce_by_hand(project_by_hand(h, q, at), project_by_hand(h, k, at), tau)
                for h, q, k, at in zip(method.H.heads, found, given, places)
            ]
        )
    )


def random_heads(method) -> None:
    """Weights far from the initial ones, which are so small that all patches look alike."""
    for p in method.H.parameters():
        torch.nn.init.normal_(p, 0, 0.5)


def test_losses_equal_the_papers_equations_written_out():
    method, batch = (
        tiny_method("cut", loss={"patches": 6, "nce_x": 3.0, "nce_y": 2.0}),
        tiny_batch(),
    )
    random_heads(method)
    x, y, G, D = batch["x"], batch["y"], method.G, method.D_Y
    losses = losses_of(method, "generator", batch)
    with torch.no_grad():
        fake_y, same_y = G(x), G(y)
        torch.manual_seed(0)  # the places that `losses_of` drew
        places_x = draw_places(G.encode(x), 6)
        places_y = draw_places(G.encode(y), 6)
        expected = {
            "gan_G": float(((D(fake_y) - 1) ** 2).mean()),
            "nce_x": 3 * expected_nce(method, x, fake_y, places_x),
            "nce_y": 2 * expected_nce(method, y, same_y, places_y),
        }
        assert {k: v.item() for k, v in losses.items()} == pytest.approx(expected, rel=1e-5)
        d = losses_of(method, "discriminator", batch)
        by_hand = 0.5 * (((D(y) - 1) ** 2).mean() + (D(fake_y) ** 2).mean())
        assert {k: v.item() for k, v in d.items()} == pytest.approx(
            {"D_Y": by_hand.item()}, rel=1e-5
        )


def test_the_encoder_gives_the_layers_that_the_paper_names():
    """Pixels, both downsampling convolutions, the first and the fifth residual block."""
    method = tiny_method("cut", blocks=6, size=32)
    x = tiny_batch(size=32)["x"]
    seen: dict[int, torch.Tensor] = {}
    for i, layer in enumerate(method.G.model):
        layer.register_forward_hook(lambda m, a, out, i=i: seen.__setitem__(i, out.clone()))
    method.G(x)
    features = method.G.encode(x)
    # 0 pad, 1-3 c7s1, 4-6 and 7-9 downsampling, 10 to 15 the blocks
    expected = [x, seen[4], seen[7], seen[10], seen[14]]
    assert len(features) == len(expected)
    for got, wanted in zip(features, expected):
        torch.testing.assert_close(got, wanted)


def test_features_are_taken_before_the_rectifier_though_it_works_in_place():
    method = tiny_method("cut", generator={"norm": "none"})
    assert any((maps < 0).any() for maps in method.G.encode(tiny_batch()["x"])[1:3])


def test_nce_reaches_generator_and_heads_but_not_the_discriminator():
    method, batch = tiny_method("cut"), tiny_batch()
    random_heads(method)
    for term, owners in {"gan_G": {"G", "D_Y"}, "nce_x": {"G", "H"}, "nce_y": {"G", "H"}}.items():
        loss = losses_of(method, "generator", batch)[term]
        named = {n: p for n, p in method.named_parameters() if p.requires_grad}
        found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
        touched = {n.split(".")[0] for n, g in zip(named, found) if g is not None}
        assert touched == owners, term
    assert {n.split(".")[0] for n in own_parameters(method, "generator")} == {"G", "H"}


def test_no_gradient_flows_through_the_patches_of_the_input():
    method, batch = tiny_method("cut"), tiny_batch()
    random_heads(method)
    source, target = batch["x"].requires_grad_(True), batch["y"].requires_grad_(True)
    loss = method.nce(source, target)
    through_source, through_target = torch.autograd.grad(loss, [source, target], allow_unused=True)
    assert through_source is None
    assert through_target.abs().sum() > 0


def test_a_translation_that_keeps_every_patch_in_place_has_the_smallest_loss():
    method, batch = tiny_method("cut", loss={"patches": 16}), tiny_batch()
    random_heads(method)
    torch.manual_seed(0)
    same = method.nce(batch["x"], batch["x"])
    torch.manual_seed(0)
    moved = method.nce(batch["x"], batch["x"].roll(4, dims=3))
    assert same < moved


def test_fastcut_is_cut_with_its_weights_and_flips():
    assert FastCUTConfig().loss == NCELoss(nce_x=10.0, nce_y=0.0, flip=True)
    method, batch = tiny_method("fastcut"), tiny_batch()
    assert losses_of(method, "generator", batch).keys() == {"gan_G", "nce_x"}


def test_cut_is_the_papers_by_default():
    """Eq. 5 with both weights 1, 256 patches, temperature 0.07, no history."""
    loss = NCELoss()
    assert (loss.gan, loss.nce_x, loss.nce_y, loss.flip) == (1.0, 1.0, 1.0, False)
    assert (loss.patches, loss.temperature) == (256, 0.07)
    assert tiny_method("cut").remembered == tiny_method("fastcut").remembered == ()


def test_a_mirrored_image_is_translated_mirrored_and_compared_place_by_place():
    """With features mirrored back, the loss sees each patch beside its own input patch."""
    method, batch = tiny_method("fastcut", loss={"nce_y": 0.0, "flip": True, "patches": 5}), {}
    random_heads(method)
    batch = {k: v.repeat(8, 1, 1, 1)[:16] for k, v in tiny_batch().items()}
    torch.manual_seed(0)
    made = method.generate(batch)
    mirrored = made["mirrored"].flatten()
    assert 0 < mirrored.sum() < 16
    for i, flipped in enumerate(mirrored.tolist()):
        x = batch["x"][i : i + 1]
        torch.testing.assert_close(made["fake_y"][i : i + 1], method.G(x.flip(3) if flipped else x))
    state = torch.get_rng_state()
    loss = method.nce(batch["x"], made["fake_y"], made["mirrored"])
    torch.set_rng_state(state)
    with torch.no_grad():
        given = method.G.encode(batch["x"])
        found = method.G.encode(made["fake_y"])
        found = [
            torch.stack([m.flip(2) if f else m for m, f in zip(maps, mirrored.tolist())])
            for maps in found
        ]
        places = draw_places(given, 5)
        by_hand = np.mean(
            [
                nce_by_hand(project_by_hand(h, q, at), project_by_hand(h, k, at), 0.07)
                for h, q, k, at in zip(method.H.heads, found, given, places)
            ]
        )
    assert loss.item() == pytest.approx(by_hand, rel=1e-4)


def test_places_are_different_and_no_more_than_there_are():
    features = [torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 2, 2)]
    many, few = draw_places(features, 10)
    assert len(many) == len(set(many.tolist())) == 10
    assert sorted(few.tolist()) == [0, 1, 2, 3]


def test_projections_have_length_one():
    heads = PatchProjections([3], 8)
    (z,) = heads([torch.randn(2, 3, 4, 4)], [torch.arange(16)])
    torch.testing.assert_close(z.norm(dim=2), torch.ones(2, 16))
    assert z.dtype is torch.float32


def test_wrong_settings_are_refused_in_one_line():
    with pytest.raises(UserError, match=r"--generator.kind unet has no encoder"):
        tiny_method("cut", generator={"kind": "unet", "depth": 2})
    with pytest.raises(UserError, match="PatchNCE term needs equal channels"):
        tiny_method("cut", x=1)
    for wrong in ({"patches": 1}, {"temperature": 0.0}, {"nce_x": -1.0}):
        with pytest.raises(UserError, match="--loss"):
            NCELoss(**wrong)
    with pytest.raises(UserError, match="every loss term"):
        NCELoss(gan=0.0, nce_x=0.0, nce_y=0.0)
