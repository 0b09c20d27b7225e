"""UVCGANv2: CycleGAN with the networks and the stabilised critics of 2023."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch.nn.functional as fn
from torch import Tensor, nn

from unpaired.errors import UserError
from unpaired.losses import l1, zero_centred_penalty
from unpaired.methods.base import Losses
from unpaired.methods.cyclegan import CycleGAN, CycleLoss
from unpaired.methods.settings import check_weights, need_equal_channels
from unpaired.networks.batch_head import BatchHeadDiscriminator
from unpaired.networks.unet_vit import UNetViT

COARSE = 8  # pixels per side that the consistency term averages: 256 become 32


@dataclass(frozen=True)
class UVCGANLoss(CycleLoss):
    """CycleGAN's terms with the weights of UVCGANv2 on AFHQ, and its own.

    The authors' images are in [0, 1] and ours in [-1, 1]: their 5, 2.5 and 1 act here as 2.5, 1.25
    and 4, because a difference counts twice here and a squared slope a quarter.
    """

    cycle: float = 2.5
    identity: float = 1.25
    penalty: float = 4.0
    """Weight of the zero-centred gradient penalty on the discriminators."""
    consistency: float = 0.0
    """Weight of |A(G(x)) - A(x)| and |A(F(y)) - A(y)|, with A the mean over 8 x 8 pixels: keeps
    coarse colours, for translations that must stay faithful."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_weights(self, "penalty", "consistency")
        if self.penalty and self.adversarial == "wgan-gp":
            raise UserError(
                "--loss.adversarial wgan-gp has a penalty of its own; give --loss.penalty 0 with it"
            )


@dataclass(frozen=True)
class TransformerConfig:
    """The transformer at the bottom of the generators."""

    features: int = 384
    heads: int = 6
    blocks: int = 12

    def __post_init__(self) -> None:
        for name in ("features", "heads", "blocks"):
            if getattr(self, name) < 1:
                raise UserError(f"--transformer.{name} is {getattr(self, name)}; give 1 or more")
        if self.features % self.heads:
            raise UserError(
                f"--transformer.features is {self.features}, which --transformer.heads "
                f"{self.heads} does not divide; give a multiple"
            )


@dataclass(frozen=True)
class BatchHeadConfig:
    """The discriminators."""

    filters: int = 64
    """Filters of the first layer."""
    layers: int = 3
    """Convolutions of stride 2."""

    def __post_init__(self) -> None:
        if self.filters < 1:
            raise UserError(f"--discriminator.filters is {self.filters}; give 1 or more")
        if not 1 <= self.layers <= 8:
            raise UserError(f"--discriminator.layers is {self.layers}; give a number from 1 to 8")


@dataclass(frozen=True)
class UVCGANConfig:
    """Settings of UVCGANv2; the defaults are the paper's for 256 x 256 pixels."""

    filters: int = 48
    """Filters of the generators' first level; doubled with every level."""
    levels: int = 4
    """How often the generators halve the image; the transformer's tokens are what is left."""
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    discriminator: BatchHeadConfig = field(default_factory=BatchHeadConfig)
    loss: UVCGANLoss = field(default_factory=UVCGANLoss)

    def __post_init__(self) -> None:
        if self.filters < 1:
            raise UserError(f"--filters is {self.filters}; give 1 or more")
        if not 1 <= self.levels <= 7:
            raise UserError(f"--levels is {self.levels}; give a number from 1 to 7")

    def make_generator(self, channels_in: int, channels_out: int, size: int) -> nn.Module:  # noqa: ARG002
        """A generator; images of any size that the levels divide."""
        t = self.transformer
        return UNetViT(
            channels_in, channels_out, self.filters, self.levels, t.features, t.heads, t.blocks
        )

    def make_discriminator(self, channels: int) -> nn.Module:
        """A discriminator of images with so many channels."""
        d = self.discriminator
        return BatchHeadDiscriminator(channels, d.filters, d.layers)


class UVCGAN(CycleGAN):
    """UVCGANv2 (Torbunov et al. 2023, https://arxiv.org/abs/2303.16280).

    CycleGAN's objective with the identity term, a generator with a transformer and a style, a
    discriminator under spectral norm that compares the images of a batch, a zero-centred gradient
    penalty, and, if wanted, a consistency of coarse colours.
    """

    name = "uvcgan"
    title = "UVCGANv2"
    Config = UVCGANConfig
    weights: UVCGANLoss

    def __init__(self, settings: Any, *, channels_x: int, channels_y: int, size: int) -> None:
        """Build G, F, D_X, D_Y.

        Raises: UserError if a term compares both domains and they differ in channels.
        """
        super().__init__(settings, channels_x=channels_x, channels_y=channels_y, size=size)
        if self.weights.consistency:
            need_equal_channels(channels_x, channels_y, "consistency", "--loss.consistency 0")
        if weight := self.weights.penalty:
            self.adversarial = replace(
                self.adversarial,
                penalty=lambda D, real, fake: weight * zero_centred_penalty(D, real, fake),
            )

    def generator_losses(
        self,
        x: Tensor,
        y: Tensor,
        fake_y: Tensor,
        fake_x: Tensor,
        same_y: Tensor | None = None,
        same_x: Tensor | None = None,
    ) -> Losses:
        terms = super().generator_losses(x, y, fake_y, fake_x, same_y, same_x)
        if weight := self.weights.consistency:
            terms["consistency_x"] = weight * l1(coarse(fake_y), coarse(x))
            terms["consistency_y"] = weight * l1(coarse(fake_x), coarse(y))
        return terms


def coarse(images: Tensor) -> Tensor:
    """A of the consistency term: (N, C, H, W) -> (N, C, H / 8, W / 8), means over squares."""
    return fn.avg_pool2d(images.float(), COARSE)
