"""Parameters are laid out as in the authors' released code, so its published weights load."""

from itertools import pairwise

import pytest
import torch

from unpaired.networks.patchgan import PatchGAN, PixelGAN
from unpaired.networks.resnet import ResNetGenerator
from unpaired.networks.unet import UNetGenerator


def shapes(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def with_biases(weights: dict[str, tuple[int, ...]], transposed: tuple[str, ...] = ()) -> dict:
    full = {}
    for name, shape in weights.items():
        full[f"{name}.weight"] = shape
        full[f"{name}.bias"] = (shape[1 if name in transposed else 0],)
    return full


RESNET_9 = with_biases(
    {
        "model.1": (64, 3, 7, 7),
        "model.4": (128, 64, 3, 3),
        "model.7": (256, 128, 3, 3),
        **{f"model.{i}.conv_block.{j}": (256, 256, 3, 3) for i in range(10, 19) for j in (1, 5)},
        "model.19": (256, 128, 3, 3),
        "model.22": (128, 64, 3, 3),
        "model.26": (3, 64, 7, 7),
    },
    transposed=("model.19", "model.22"),
)


def count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_resnet_9_blocks_has_the_published_keys_shapes_and_count():
    network = ResNetGenerator(3, 3, blocks=9)
    assert shapes(network) == RESNET_9
    assert len(network.state_dict()) == 48
    assert count(network) == 11_378_179


def test_resnet_6_blocks_has_the_published_places_and_count():
    network = ResNetGenerator(3, 3, blocks=6)
    places = sorted({int(name.split(".")[1]) for name in network.state_dict()})
    assert places == [1, 4, 7, 10, 11, 12, 13, 14, 15, 16, 19, 23]
    assert count(network) == 7_837_699


def test_with_dropout_the_second_convolution_of_a_block_moves_by_one():
    names = ResNetGenerator(3, 3, blocks=1, dropout=True).state_dict()
    assert {n for n in names if n.startswith("model.10")} == {
        f"model.10.conv_block.{i}.{kind}" for i in (1, 6) for kind in ("weight", "bias")
    }


@pytest.mark.parametrize(("dropout", "second"), [(False, (5, 6)), (True, (6, 7))])
def test_with_batch_norm_the_norms_sit_where_they_sat_and_convolutions_lose_their_bias(
    dropout, second
):
    names = set(ResNetGenerator(3, 3, blocks=9, norm="batch", dropout=dropout).state_dict())
    norms = {n.removesuffix(".running_mean") for n in names if n.endswith("running_mean")}
    blocks = {f"model.{i}.conv_block.{j}" for i in range(10, 19) for j in (2, second[1])}
    assert norms == {f"model.{i}" for i in (2, 5, 8, 20, 23)} | blocks
    convolutions = {n for n in names if n.endswith(f"conv_block.{second[0]}.weight")}
    assert len(convolutions) == 9
    biases = {n.removesuffix(".bias") for n in names if n.endswith(".bias")}
    assert biases == norms | {"model.26"}


def test_patchgan_has_the_published_keys_shapes_and_count():
    network = PatchGAN(3)
    assert shapes(network) == with_biases(
        {
            "model.0": (64, 3, 4, 4),
            "model.2": (128, 64, 4, 4),
            "model.5": (256, 128, 4, 4),
            "model.8": (512, 256, 4, 4),
            "model.11": (1, 512, 4, 4),
        }
    )
    assert count(network) == 2_764_737
    strides = [m.stride[0] for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert strides == [2, 2, 2, 1, 1]


def test_the_norms_of_a_patchgan_sit_at_3_6_9():
    names = PatchGAN(3, norm="batch").state_dict()
    places = {int(n.split(".")[1]) for n in names if n.endswith("running_mean")}
    assert places == {3, 6, 9}


def test_the_pixel_discriminator_has_the_published_prefix_and_places():
    names = PixelGAN(3).state_dict()
    assert {n.rsplit(".", 1)[0] for n in names} == {"net.0", "net.2", "net.5"}


@pytest.mark.parametrize(("depth", "parameters"), [(7, 41_828_995), (8, 54_413_955)])
def test_the_unets_have_the_published_nesting(depth, parameters):
    """Counts are those of unet_128 and unet_256 with batch norm, worked out layer by layer."""
    network = UNetGenerator(3, 3, depth=depth, norm="batch")
    names = network.state_dict()
    assert "model.model.0.weight" in names
    assert "model.model.3.weight" in names
    assert "model.model.1.model.1.weight" in names
    innermost = "model" + ".model.1" + ".model.3" * (depth - 2) + ".model.1.weight"
    assert tuple(names[innermost].shape) == (512, 512, 4, 4)
    assert count(network) == expected_unet_count(depth) == parameters


def expected_unet_count(depth: int) -> int:
    """Weights of 4x4 convolutions and batch norms, from the widths in the paper."""
    widths = [64, 128, 256, 512, 512, 512, 512, 512][:depth]
    total = 3 * widths[0] * 16  # outermost down, no bias
    for a, b in pairwise(widths):
        total += a * b * 16
    total += sum(2 * w for w in widths[1:-1])  # norms on the way down, none at the bottleneck
    for i in range(depth - 1, 0, -1):
        into = widths[i] if i == depth - 1 else 2 * widths[i]
        total += into * widths[i - 1] * 16 + 2 * widths[i - 1]
    return total + 2 * widths[0] * 3 * 16 + 3
