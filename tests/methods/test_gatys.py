"""Neural style transfer: the paper's equations, and pictures that follow from them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as fn
from torch import Tensor

from tests.networks.fakes import random_vgg16
from unpaired.errors import UserError
from unpaired.losses import content_loss, gram, style_loss
from unpaired.methods import gatys
from unpaired.methods.gatys import (
    CONTENT_LAYER,
    STYLE_LAYERS,
    GatysConfig,
    Style,
    gatys_losses,
    style_of,
    stylize,
)
from unpaired.networks.vgg import LAYERS, VGG16


@pytest.fixture(scope="module")
def net() -> VGG16:
    return random_vgg16()


def picture(seed: int, height: int = 32, width: int = 32) -> Tensor:
    coarse = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return fn.interpolate(coarse, (height, width), mode="bilinear")


def matrices(net: VGG16, image: Tensor) -> dict[str, np.ndarray]:
    """F^l of the paper: N_l filters by M_l places, in a network with average pooling."""
    features, found = (image - net.shift) / net.scale, {}
    for layer in LAYERS:
        if layer in ("relu2_1", "relu3_1", "relu4_1", "relu5_1"):
            features = fn.avg_pool2d(features, 2)
        weight, bias = net.get_buffer(f"{layer}_weight"), net.get_buffer(f"{layer}_bias")
        features = fn.conv2d(features, weight, bias, padding=1).clamp(min=0)
        found[layer] = features[0].flatten(1).double().numpy()
    return found


def test_the_objective_is_the_papers_written_out(net):
    content, painting = picture(1), picture(2)
    collection = [picture(3), picture(4)]
    config = GatysConfig(content=0.3, style=2.0)
    F, P = matrices(net, painting), matrices(net, content)
    styles = [matrices(net, one) for one in collection]

    scale = {}  # sec. 2: every filter's mean is 1 over the style's pictures
    for layer in (*STYLE_LAYERS, CONTENT_LAYER):
        mean = np.mean([one[layer].mean(1) for one in styles], axis=0)
        scale[layer] = np.maximum(mean, 0.5 * mean.mean())[:, None]
        F[layer], P[layer] = F[layer] / scale[layer], P[layer] / scale[layer]
    N, M = F[CONTENT_LAYER].shape
    expected_content = 0.3 * 0.5 * ((F[CONTENT_LAYER] - P[CONTENT_LAYER]) ** 2).sum() / (N * M)
    expected_style = 0.0
    for layer in STYLE_LAYERS:
        N, M = F[layer].shape
        A = np.mean(
            [(o[layer] / scale[layer]) @ (o[layer] / scale[layer]).T for o in styles], axis=0
        )
        G = F[layer] @ F[layer].T
        expected_style += 2.0 / 5 * ((G - A) ** 2).sum() / (4 * N**2 * M**2)

    style = style_of(net, collection)
    scaled = [
        {layer: f / style.activations[layer] for layer, f in gatys._features(net, image).items()}
        for image in (painting, content)
    ]
    losses = gatys_losses(*scaled, style.grams, config)
    np.testing.assert_allclose(float(losses["content"]), expected_content, rtol=1e-5)
    np.testing.assert_allclose(float(losses["style"]), expected_style, rtol=1e-5)
    assert losses.keys() == {"content", "style"}
    assert gatys_losses(*scaled, style.grams, GatysConfig(content=0)).keys() == {"style"}
    assert gatys_losses(*scaled, style.grams, GatysConfig(style=0)).keys() == {"content"}


def test_single_losses_by_hand():
    F = torch.tensor([[[[1.0, 2.0]], [[0.0, 3.0]]]])  # 2 filters, 2 places
    assert gram(F).tolist() == [[[2.5, 3.0], [3.0, 4.5]]]
    assert float(content_loss(F, torch.zeros_like(F))) == 0.5 * 14 / 4
    assert float(style_loss(gram(F), torch.zeros(1, 2, 2))) == (6.25 + 9 + 9 + 20.25) / 16


def test_a_collections_style_is_the_mean_of_its_pictures_in_any_order_and_size(net):
    pictures = [picture(1), picture(2, 24, 40), picture(3, 48, 16)]
    one, other = style_of(net, pictures), style_of(net, reversed(pictures))
    for layer in STYLE_LAYERS:
        torch.testing.assert_close(one.grams[layer], other.grams[layer], rtol=1e-4, atol=1e-5)
    alone = style_of(net, pictures[:1])
    torch.testing.assert_close(
        style_of(net, [pictures[0]] * 3).grams["relu3_1"], alone.grams["relu3_1"]
    )


def test_painting_lowers_the_objective_and_repeats_itself_to_the_last_bit(net):
    content, style = picture(1), style_of(net, [picture(2)])
    config = GatysConfig(content=0.01, steps=20)

    def objective(image: Tensor) -> float:
        F, P = (
            {k: v / style.activations[k] for k, v in gatys._features(net, one).items()}
            for one in (image, content)
        )
        return float(sum(gatys_losses(F, P, style.grams, config).values()))

    painted = stylize(net, content, style, config)
    assert painted.shape == content.shape
    assert painted.abs().max() <= 1
    assert objective(painted) < 0.5 * objective(content)
    assert torch.equal(painted, stylize(net, content, style, config))
    assert not content.requires_grad


def test_noise_flows_from_the_seed_alone(net):
    content, style = picture(1), style_of(net, [picture(2)])

    def paint(seed: int) -> Tensor:
        return stylize(net, content, style, GatysConfig(steps=2, start="noise", seed=seed))

    first, before = paint(5), torch.get_rng_state()
    assert torch.equal(first, paint(5))
    assert not torch.equal(first, paint(6))
    assert torch.equal(before, torch.get_rng_state())


def test_without_style_the_content_is_left_as_it_is(net):
    content, style = picture(1), style_of(net, [picture(2)])
    painted = stylize(net, content, style, GatysConfig(style=0, steps=3))
    torch.testing.assert_close(painted, content)


@pytest.mark.parametrize("size", [(1, 1), (3, 70), (33, 17)])
def test_flat_pictures_of_odd_sizes_can_be_painted(size, net):
    flat = torch.full((1, 3, *size), -1.0)
    painted = stylize(net, flat, style_of(net, [flat.neg(), flat]), GatysConfig(steps=3))
    assert painted.shape == flat.shape
    assert torch.isfinite(painted).all()


def test_a_style_that_leaves_a_layer_dark_divides_by_no_zero(net):
    zeros = {layer: torch.zeros_like(buffer) for layer, buffer in net.named_buffers()}
    dark = VGG16(
        "dark", [(zeros[f"{k}_weight"], zeros[f"{k}_bias"]) for k in LAYERS], [0] * 3, [1] * 3
    )
    style = style_of(dark, [picture(1)])
    assert isinstance(style, Style)
    assert all(torch.isfinite(A).all() for A in style.grams.values())
    assert torch.isfinite(stylize(dark, picture(2), style, GatysConfig(steps=2))).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"content": -1.0}, "--content-weight is -1.0"),
        ({"style": float("inf")}, "--style-weight is inf"),
        ({"style": float("nan")}, "--style-weight is nan"),
        ({"content": 0.0, "style": 0.0}, "both 0"),
        ({"steps": 0}, "--steps is 0"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        GatysConfig(**settings)


def test_weights_beyond_float32_are_an_error_not_a_broken_picture(net):
    with pytest.raises(UserError, match="overflow"):
        stylize(net, picture(1), style_of(net, [picture(2)]), GatysConfig(style=1e300, steps=2))


def test_the_default_weights_are_those_of_the_docs():
    assert (GatysConfig().content, GatysConfig().style, GatysConfig().start) == (1, 1, "content")
