"""pix2pix: a translator that learns from pairs; its critic sees the input beside the output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, cast

import torch
from torch import Tensor, nn

from unpaired.errors import UserError
from unpaired.losses import ADVERSARIAL, l1
from unpaired.methods.base import Batch, Direction, Losses, Method
from unpaired.methods.discriminator import discriminator_losses
from unpaired.methods.settings import AdversarialName, NetworkSettings, check_weights
from unpaired.networks import DiscriminatorConfig, GeneratorConfig
from unpaired.networks.blocks import Norm


@dataclass(frozen=True)
class Pix2PixLoss:
    """Each number multiplies its term as it stands; 0 switches the term off."""

    adversarial: AdversarialName = "log"
    """Form of the adversarial loss."""
    gan: float = 1.0
    """Weight of L_cGAN(G, D), eq. 1."""
    l1: float = 100.0
    """lambda of eq. 4, on |y - G(x)|."""

    def __post_init__(self) -> None:
        check_weights(self, "gan", "l1")
        if not (self.gan or self.l1):
            raise UserError("every loss term is switched off; give --loss.gan or --loss.l1")


@dataclass(frozen=True)
class UNetConfig(GeneratorConfig):
    """Settings of a generator; the defaults are the U-Net of pix2pix (appendix 6.1.1)."""

    kind: Literal["resnet", "unet"] = "unet"
    norm: Norm = "instance-affine"
    """The paper's batch norm in its batches of one, in training and translation (sec. 3.3)."""
    dropout: bool = True
    """The noise z of the paper; off when translating."""


@dataclass(frozen=True)
class ConditionalConfig(DiscriminatorConfig):
    """Settings of a discriminator; the defaults are the 70x70 PatchGAN with batch norm."""

    norm: Norm = "batch"


@dataclass(frozen=True)
class Pix2PixConfig(NetworkSettings):
    """Settings of pix2pix; the defaults are the paper's."""

    generator: UNetConfig = field(default_factory=UNetConfig)
    discriminator: ConditionalConfig = field(default_factory=ConditionalConfig)
    loss: Pix2PixLoss = field(default_factory=Pix2PixLoss)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.generator.kind == "unet" and self.blocks is not None:
            raise UserError(
                f"--blocks {self.blocks} means nothing to a unet; drop it, or give "
                "--generator.kind resnet"
            )


class Pix2Pix(Method):
    """Image-to-image translation from pairs (Isola et al. 2017, https://arxiv.org/abs/1611.07004).

    G: X -> Y minimises eq. 4, L_cGAN(G, D) + lambda |y - G(x)|_1, against a discriminator D of
    pairs that sees x beside y or G(x). Dropout within G is its only noise.
    """

    name = "pix2pix"
    title = "pix2pix"
    Config = Pix2PixConfig
    players = ("generator", "discriminator")
    directions = ("x2y",)
    paired = True

    def __init__(
        self, settings: Pix2PixConfig, *, channels_x: int, channels_y: int, size: int
    ) -> None:
        """Build G and D; D sees the channels of both domains at once."""
        super().__init__(settings, channels_x=channels_x, channels_y=channels_y, size=size)
        self.weights = settings.loss
        self.G = settings.make_generator(channels_x, channels_y, size)
        self.D = settings.make_discriminator(channels_x + channels_y)
        self.adversarial = ADVERSARIAL[settings.loss.adversarial]

    def networks(self, player: str) -> list[nn.Module]:
        return {"generator": [self.G], "discriminator": [self.D]}[player]

    def generate(self, batch: Batch) -> dict[str, Tensor]:
        """fake_y = G(x), with the noise of its dropout."""
        return {"fake_y": self.G(batch["x"])}

    def losses(self, player: str, batch: Batch, made: dict[str, Tensor]) -> Losses:
        x, y, fake_y = batch["x"], batch["y"], made["fake_y"]
        D, gan, lambda_ = self.D, self.weights.gan, self.weights.l1
        fake = torch.cat([x, fake_y.to(x.dtype)], 1)  # (N, C_X + C_Y, H, W)
        if player == "generator":
            terms: Losses = {}
            if gan:
                terms["gan_G"] = gan * self.adversarial.generator(D(fake))  # eq. 1
            if lambda_:
                terms["l1_G"] = lambda_ * l1(fake_y, y)  # eq. 3
            return terms
        if not gan:
            return {}
        return discriminator_losses(self.adversarial, "D", D, torch.cat([x, y], 1), fake)

    def translate(self, images: Tensor, direction: Direction) -> Tensor:  # noqa: ARG002
        return self.G(images)

    @property
    def multiple(self) -> int:
        return cast(int, self.G.multiple)
