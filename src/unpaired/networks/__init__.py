"""Networks: tensors to tensors. What there is by name, their settings, and how they are built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from unpaired.errors import UserError
from unpaired.networks.blocks import Norm, Upsample
from unpaired.networks.init import Init, initialise
from unpaired.networks.patchgan import PatchGAN, PixelGAN
from unpaired.networks.resnet import ResNetGenerator
from unpaired.networks.unet import UNetGenerator, deepest

GENERATORS: dict[str, type[nn.Module]] = {"resnet": ResNetGenerator, "unet": UNetGenerator}
DISCRIMINATORS: dict[str, type[nn.Module]] = {"patchgan": PatchGAN, "pixel": PixelGAN}
RESNET_ALONE = {"upsample": "transposed", "downsamplings": 2, "input_skip": False}
"""Settings that only a ResNet has, with their defaults."""


@dataclass(frozen=True)
class GeneratorConfig:
    """Settings of a generator; the defaults are CycleGAN's."""

    kind: Literal["resnet", "unet"] = "resnet"
    norm: Norm = "instance"
    """"none" keeps absolute colours, which instance norm removes on flat images."""
    dropout: bool = False
    upsample: Upsample = "transposed"
    """ResNet: "resize" leaves no checkerboards."""
    downsamplings: int = 2
    """ResNet: how often the image is halved."""
    input_skip: bool = False
    """ResNet: paint on the input, tanh(x + model(x)); settles fast, changes shapes less."""
    depth: int | None = None
    """U-Net: levels, and sides must be multiples of 2^depth; None: as many as the training crops
    allow, at most 8."""
    init: Init = "normal"
    init_gain: float = 0.02

    def __post_init__(self) -> None:
        if not 0 <= self.downsamplings <= 6:
            raise UserError(
                f"--generator.downsamplings is {self.downsamplings}; give a number from 0 to 6"
            )
        if self.depth is not None and not 2 <= self.depth <= 10:
            raise UserError(f"--generator.depth is {self.depth}; give a number from 2 to 10")
        for name, plain in RESNET_ALONE.items():
            value = getattr(self, name)
            if self.kind == "unet" and value != plain:
                flag = f"--generator.{name.replace('_', '-')} {value}"
                raise UserError(
                    f"{flag} means nothing to a unet; drop it and any preset that sets it, or give "
                    "--generator.kind resnet"
                )
        if not 0 < self.init_gain < float("inf"):
            raise UserError(f"--generator.init-gain is {self.init_gain}; give a number above 0")


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Settings of a discriminator; the defaults are the 70x70 PatchGAN."""

    kind: Literal["patchgan", "pixel"] = "patchgan"
    layers: int = 3
    """PatchGAN: convolutions of stride 2; 3 sees 70x70 pixels, 2 sees 34x34."""
    filters: int = 64
    """Filters of the first layer (ndf)."""
    norm: Norm = "instance"
    init: Init = "normal"
    init_gain: float = 0.02

    def __post_init__(self) -> None:
        if not 1 <= self.layers <= 8:
            raise UserError(f"--discriminator.layers is {self.layers}; give a number from 1 to 8")
        if not 1 <= self.filters <= 4096:
            raise UserError(
                f"--discriminator.filters is {self.filters}; give a number from 1 to 4096"
            )
        if not 0 < self.init_gain < float("inf"):
            raise UserError(f"--discriminator.init-gain is {self.init_gain}; give a number above 0")


def build_generator(
    config: GeneratorConfig,
    in_channels: int,
    out_channels: int,
    filters: int,
    blocks: int,
    size: int = 256,
) -> nn.Module:
    """An initialised generator (N, in, H, W) -> (N, out, H, W), both in [-1, 1].

    Args: size: side of the training crops, which the depth of a U-Net follows.
    """
    network: nn.Module
    if config.kind == "unet":
        depth = config.depth or deepest(size)
        network = UNetGenerator(
            in_channels, out_channels, filters, depth, config.norm, config.dropout
        )
    else:
        network = ResNetGenerator(
            in_channels,
            out_channels,
            filters,
            blocks,
            config.norm,
            config.dropout,
            config.upsample,
            config.downsamplings,
            config.input_skip,
        )
    initialise(network, config.init, config.init_gain)
    return network


def build_discriminator(config: DiscriminatorConfig, in_channels: int) -> nn.Module:
    """An initialised discriminator (N, C, H, W) -> (N, 1, h, w), raw scores."""
    network: nn.Module
    if config.kind == "pixel":
        network = PixelGAN(in_channels, config.filters, config.norm)
    else:
        network = PatchGAN(in_channels, config.filters, config.layers, config.norm)
    initialise(network, config.init, config.init_gain)
    return network
