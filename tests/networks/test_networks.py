"""The networks do what the papers' networks do."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from unpaired.errors import UserError
from unpaired.methods.cut import CUT, CUTConfig
from unpaired.networks import (
    DiscriminatorConfig,
    GeneratorConfig,
    build_discriminator,
    build_generator,
)
from unpaired.networks.blocks import InstanceNorm, moments
from unpaired.networks.init import initialise
from unpaired.networks.patchgan import PatchGAN
from unpaired.networks.resnet import ResNetGenerator
from unpaired.networks.unet import UNetGenerator


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_instance_norm_is_torchs_in_values_and_gradients_and_keeps_the_layout(layout):
    torch.manual_seed(0)
    x = (torch.randn(3, 5, 9, 7) * 4 + 2).to(memory_format=layout).requires_grad_()
    weight = torch.randn(3, 5, 9, 7)
    ours, theirs = InstanceNorm(5)(x), nn.InstanceNorm2d(5)(x)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    (a,) = torch.autograd.grad((ours * weight).sum(), x)
    (b,) = torch.autograd.grad((theirs * weight).sum(), x)
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert ours.is_contiguous(memory_format=layout)


def test_instance_norm_of_a_large_channels_last_image_is_exact():
    """Torch's channels-last batch norm alone would be wrong by 1e-4 here."""
    torch.manual_seed(0)
    x = (torch.randn(1, 2, 700, 700) + 1).to(memory_format=torch.channels_last)
    out = InstanceNorm(2)(x)
    torch.testing.assert_close(
        out.double(), nn.functional.instance_norm(x.double()), rtol=0, atol=2e-6
    )
    assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_moments_are_exact_for_any_layout_offset_and_type(layout, offset, dtype, monkeypatch):
    monkeypatch.setattr("unpaired.networks.blocks.PIECE", 700)
    x = (torch.randn(2, 5, 40, 33) * torch.arange(1, 6)[:, None, None] + offset).to(
        dtype, memory_format=layout
    )
    mean, variance = moments(x)
    exact = x.double()
    assert torch.allclose(mean, exact.mean((0, 2, 3)), rtol=1e-6)
    assert torch.allclose(variance, exact.var((0, 2, 3), correction=0), rtol=1e-5)
    assert (moments(torch.full((1, 3, 8, 8), 7.0))[1] == 0).all()


def test_without_gradients_a_large_image_is_normed_as_with_them():
    x = torch.randn(2, 4, 300, 260).to(memory_format=torch.channels_last) * 3 + 5
    for affine in (False, True):
        norm = InstanceNorm(4, affine)
        with torch.no_grad():
            made = norm(x)
        assert torch.allclose(made, norm(x), atol=1e-5)
        assert made.is_contiguous(memory_format=torch.channels_last)


def test_instance_norm_keeps_half_precision_and_layout_inside_autocast():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 16, 16).to(torch.bfloat16, memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        out = InstanceNorm(3)(x)
    assert out.dtype is torch.bfloat16
    assert out.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(
        out.float(), nn.functional.instance_norm(x.float()), rtol=2**-7, atol=2**-7
    )


def test_affine_instance_norm_is_torchs():
    ours, theirs = InstanceNorm(2, affine=True), nn.InstanceNorm2d(2, affine=True)
    state = {"weight": torch.tensor([2.0, -1.0]), "bias": torch.tensor([0.5, 3.0])}
    ours.load_state_dict(state)
    theirs.load_state_dict(state)
    x = torch.randn(2, 2, 6, 6)
    torch.testing.assert_close(ours(x), theirs(x))


def test_instance_norm_is_the_same_in_evaluation_and_refuses_a_single_pixel():
    norm, x = InstanceNorm(2), torch.randn(1, 2, 4, 4)
    assert torch.equal(norm.train()(x), norm.eval()(x))
    with pytest.raises(ValueError, match="single pixel"):
        norm(torch.randn(1, 2, 1, 1))


@settings(deadline=None, max_examples=15)
@given(
    h=st.integers(4, 9),
    w=st.integers(4, 9),
    upsample=st.sampled_from(["transposed", "resize"]),
    downs=st.integers(0, 2),
    norm=st.sampled_from(["instance", "instance-affine", "batch", "none"]),
)
def test_a_resnet_keeps_the_size_of_any_image_whose_sides_are_multiples(
    h, w, upsample, downs, norm
):
    network = ResNetGenerator(
        2, 4, filters=2, blocks=1, norm=norm, upsample=upsample, downsamplings=downs
    )
    assert network.multiple == 2**downs
    out = network(torch.randn(1, 2, h * 4, w * 4))
    assert out.shape == (1, 4, h * 4, w * 4)
    assert out.abs().max() <= 1


def test_an_input_skip_paints_on_the_input():
    network = ResNetGenerator(3, 3, filters=2, blocks=1, input_skip=True)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    torch.testing.assert_close(network(x), torch.tanh(x))
    with pytest.raises(UserError, match="input-skip"):
        ResNetGenerator(1, 3, filters=2, blocks=1, input_skip=True)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_a_unet_keeps_the_size_down_to_a_bottleneck_of_one_pixel(depth):
    network = UNetGenerator(1, 3, filters=2, depth=depth)
    out = network(torch.randn(2, 1, 2**depth, 2 ** (depth + 1)))
    assert out.shape == (2, 3, 2**depth, 2 ** (depth + 1))


@pytest.mark.parametrize(
    ("size", "depth"), [(256, 8), (128, 7), (64, 6), (512, 8), (192, 6), (100, 2), (32, 5)]
)
def test_a_unet_goes_as_deep_as_the_training_crops_allow(size, depth):
    config = GeneratorConfig(kind="unet")
    network = build_generator(config, 3, 3, filters=1, blocks=0, size=size)
    assert network.multiple == 2**depth
    asked = build_generator(GeneratorConfig(kind="unet", depth=2), 3, 3, 1, 0, size=size)
    assert asked.multiple == 4


def test_a_size_that_halves_less_than_twice_is_refused_by_a_unet():
    with pytest.raises(UserError, match="--size is 90, but a unet needs a multiple of 4"):
        build_generator(GeneratorConfig(kind="unet"), 3, 3, filters=1, blocks=0, size=90)


@pytest.mark.parametrize(
    ("setting", "flag"),
    [
        ({"upsample": "resize"}, "--generator.upsample resize"),
        ({"downsamplings": 1}, "--generator.downsamplings 1"),
        ({"input_skip": True}, "--generator.input-skip True"),
    ],
)
def test_a_unet_refuses_what_only_a_resnet_has(setting, flag):
    with pytest.raises(UserError, match=f"{flag} means nothing to a unet"):
        GeneratorConfig(kind="unet", **setting)
    GeneratorConfig(kind="resnet", **setting)


def test_dropout_is_alive_in_training_and_silent_in_evaluation():
    for network in (
        ResNetGenerator(3, 3, filters=4, blocks=1, dropout=True),
        UNetGenerator(3, 3, filters=2, depth=6, dropout=True),
    ):
        x = torch.randn(1, 3, 64, 64)
        assert any(isinstance(m, nn.Dropout) for m in network.modules())
        assert not torch.equal(network.train()(x), network(x))
        assert torch.equal(network.eval()(x), network(x))


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_a_score_of_the_patchgan_sees_exactly_its_receptive_field(layers, field):
    """By the support of the gradient, without norms, which would look at the whole image."""
    torch.manual_seed(0)
    network = PatchGAN(1, filters=2, layers=layers, norm="none")
    assert network.receptive_field == field
    x = torch.randn(1, 1, 2 * field + 8, 2 * field + 8, requires_grad=True)
    scores = network(x)
    middle = scores.shape[2] // 2
    (gradient,) = torch.autograd.grad(scores[0, 0, middle, middle], x)
    rows = gradient[0, 0].abs().sum(1).nonzero()
    assert int(rows.max() - rows.min()) + 1 == field


def test_patchgan_scores_a_256_image_on_30_by_30_patches():
    assert PatchGAN(3, filters=2)(torch.randn(1, 3, 256, 256)).shape == (1, 1, 30, 30)


def test_the_papers_initialisation_is_normal_002():
    torch.manual_seed(0)
    network = ResNetGenerator(3, 3, filters=32, blocks=2)
    initialise(network)
    weights = torch.cat([m.weight.flatten() for m in network.modules() if isinstance(m, nn.Conv2d)])
    assert weights.mean().abs() < 1e-4
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)
    assert all(
        (m.bias == 0).all()
        for m in network.modules()
        if isinstance(m, nn.Conv2d) and m.bias is not None
    )


def test_xavier_and_kaiming_have_their_variance_and_orthogonal_rows_are_orthogonal():
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 128, 3)
    initialise(conv, "xavier", gain=0.5)
    assert conv.weight.std().item() == pytest.approx(0.5 * (2 / (9 * (64 + 128))) ** 0.5, rel=0.02)
    initialise(conv, "kaiming")
    assert conv.weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)
    initialise(conv, "orthogonal", gain=1.0)
    rows = conv.weight.flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(128), rtol=1e-4, atol=1e-4)


def test_kaiming_without_norms_keeps_a_deep_generator_in_range():
    torch.manual_seed(0)
    config = GeneratorConfig(norm="none", init="kaiming", upsample="resize")
    network = build_generator(config, 3, 3, filters=8, blocks=9)
    before_tanh = network.model[:-1](torch.rand(2, 3, 32, 32) * 2 - 1)
    assert 0.05 < before_tanh.std() < 2


def test_bf16_autocast_is_close_to_float32():
    torch.manual_seed(0)
    network = build_generator(GeneratorConfig(init="kaiming"), 3, 3, filters=8, blocks=2)
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        exact = network(x)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(x)
    assert (exact - rough.float()).abs().mean() < 0.05


@pytest.mark.parametrize("kind", ["patchgan", "pixel"])
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_discriminators_build_from_their_settings(kind, norm):
    network = build_discriminator(DiscriminatorConfig(kind, filters=2, norm=norm), 4)
    assert network(torch.randn(2, 4, 64, 64)).shape[1] == 1


@pytest.mark.parametrize(
    "bad",
    [
        lambda: GeneratorConfig(downsamplings=-1),
        lambda: GeneratorConfig(depth=1),
        lambda: GeneratorConfig(init_gain=0),
        lambda: DiscriminatorConfig(layers=0),
        lambda: DiscriminatorConfig(filters=-2),
    ],
)
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(UserError, match="--"):
        bad()


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_only_biases_that_a_norm_takes_away_again_rest(norm):
    """Those of a ResNet: all but the last one; their gradients, if computed, are rounding noise."""
    network = build_generator(GeneratorConfig(norm=norm), 3, 3, filters=4, blocks=1)
    resting = {n for n, p in network.named_parameters() if not p.requires_grad}
    biases = {n for n, m in network.named_modules() if isinstance(getattr(m, "bias", None), Tensor)}
    last = max(biases, key=lambda name: int(name.split(".")[1]))
    assert resting == ({f"{n}.bias" for n in biases - {last}} if norm == "instance" else set())
    network.requires_grad_(True)
    weights = torch.randn(1, 3, 32, 32)
    (network(torch.randn(1, 3, 32, 32)) * weights).sum().backward()
    noise = [network.get_parameter(n).grad.abs().max().item() for n in resting]
    assert all(n < 1e-4 for n in noise)
    assert network.get_parameter(f"{last}.bias").grad.abs().max() > 0.1


def test_a_contrasted_feature_needs_the_bias_before_the_norm():
    method = CUT(CUTConfig(filters=4, blocks=1), channels_x=3, channels_y=3, size=32)
    assert all(p.requires_grad for p in method.G.parameters())
