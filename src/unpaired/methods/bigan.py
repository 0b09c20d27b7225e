"""BiGAN / ALI between images: one critic of pairs tells (x, G(x)) from (F(y), y)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from unpaired.losses import ADVERSARIAL
from unpaired.methods.base import Batch, Direction, Losses, Method
from unpaired.methods.discriminator import discriminator_losses
from unpaired.methods.settings import AdversarialName, NetworkSettings


@dataclass(frozen=True)
class BiGANLoss:
    """One game, one term."""

    adversarial: AdversarialName = "lsgan"
    """Form of the adversarial loss."""


@dataclass(frozen=True)
class BiGANConfig(NetworkSettings):
    """Settings of BiGAN; networks and training are CycleGAN's (sec. 5.1.2 there)."""

    loss: BiGANLoss = field(default_factory=BiGANLoss)


class BiGAN(Method):
    """Adversarially learned inverses (Donahue et al. 2017, https://arxiv.org/abs/1605.09782;
    Dumoulin et al. 2017, https://arxiv.org/abs/1606.00704), between two domains of images.

    G: X -> Y and F: Y -> X against one joint discriminator D of pairs:
    min_{G,F} max_D E_x[log D(x, G(x))] + E_y[log(1 - D(F(y), y))], with y in place of the latent.
    At the optimum the joint distributions agree, and F inverts G.
    """

    name = "bigan"
    title = "BiGAN / ALI"
    Config = BiGANConfig
    players = ("generators", "discriminator")
    directions = ("x2y", "y2x")
    remembered = ("pair_x", "pair_y")

    def __init__(
        self, settings: BiGANConfig, *, channels_x: int, channels_y: int, size: int
    ) -> None:
        """Build G, F and D; D sees the channels of both domains at once."""
        super().__init__(settings, channels_x=channels_x, channels_y=channels_y, size=size)
        self.G = settings.make_generator(channels_x, channels_y, size)
        self.F = settings.make_generator(channels_y, channels_x, size)
        self.D = settings.make_discriminator(channels_x + channels_y)
        self.adversarial = ADVERSARIAL[settings.loss.adversarial]

    def networks(self, player: str) -> list[nn.Module]:
        return {"generators": [self.G, self.F], "discriminator": [self.D]}[player]

    def generate(self, batch: Batch) -> dict[str, Tensor]:
        """pair_x = (x, G(x)), pair_y = (F(y), y), each (N, C_X + C_Y, H, W)."""
        x, y = batch["x"], batch["y"]
        return {
            "pair_x": torch.cat([x, self.G(x).to(x.dtype)], 1),
            "pair_y": torch.cat([self.F(y).to(y.dtype), y], 1),
        }

    def losses(self, player: str, batch: Batch, made: dict[str, Tensor]) -> Losses:  # noqa: ARG002
        pair_x, pair_y = made["pair_x"], made["pair_y"]
        D, adversarial = self.D, self.adversarial
        if player == "generators":  # each wants its pairs taken for the other's
            return {
                "gan_G": adversarial.generator(adversarial.opposite(D(pair_x))),
                "gan_F": adversarial.generator(D(pair_y)),
            }
        return discriminator_losses(adversarial, "D", D, real=pair_x, fake=pair_y)

    def translate(self, images: Tensor, direction: Direction) -> Tensor:
        return self.G(images) if direction == "x2y" else self.F(images)

    @property
    def multiple(self) -> int:
        return cast(int, self.G.multiple)
