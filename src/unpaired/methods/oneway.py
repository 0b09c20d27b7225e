"""The frame of methods that translate one way: G: X -> Y against D_Y."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, cast

from torch import Tensor, nn

from unpaired.losses import ADVERSARIAL
from unpaired.methods.base import Batch, Direction, Losses, Method
from unpaired.methods.discriminator import discriminator_losses
from unpaired.methods.settings import AdversarialName, NetworkSettings, check_weights


@dataclass(frozen=True)
class OneWayLoss:
    """Each number multiplies its term as it stands; 0 switches the term off."""

    adversarial: AdversarialName = "lsgan"
    """Form of the adversarial loss."""
    gan: float = 1.0
    """Weight of L_GAN(G, D_Y)."""

    def __post_init__(self) -> None:
        check_weights(self, "gan")


@dataclass(frozen=True)
class OneWaySettings(NetworkSettings):
    """Networks, and the weights of the loss."""

    loss: OneWayLoss = field(default_factory=OneWayLoss)


class OneWay(Method):
    """L_GAN(G, D_Y) of one generator; a method adds its own terms in `content_losses`."""

    players = ("generator", "discriminator")
    directions = ("x2y",)
    remembered: ClassVar[tuple[str, ...]] = ("fake_y",)

    def __init__(
        self, settings: OneWaySettings, *, channels_x: int, channels_y: int, size: int
    ) -> None:
        """Build G and D_Y."""
        super().__init__(settings, channels_x=channels_x, channels_y=channels_y, size=size)
        self.G = settings.make_generator(channels_x, channels_y, size)
        self.D_Y = settings.make_discriminator(channels_y)
        self.gan, self.adversarial = settings.loss.gan, ADVERSARIAL[settings.loss.adversarial]

    def networks(self, player: str) -> list[nn.Module]:
        return {"generator": [self.G], "discriminator": [self.D_Y]}[player]

    def generate(self, batch: Batch) -> dict[str, Tensor]:
        """fake_y = G(x)."""
        return {"fake_y": self.G(batch["x"])}

    @abstractmethod
    def content_losses(self, batch: Batch, made: dict[str, Tensor]) -> Losses:
        """What ties G(x) to x: the terms beside the adversarial one."""

    def losses(self, player: str, batch: Batch, made: dict[str, Tensor]) -> Losses:
        y, fake_y = batch["y"], made["fake_y"]
        if player == "generator":
            terms: Losses = {}
            if self.gan:
                terms["gan_G"] = self.gan * self.adversarial.generator(self.D_Y(fake_y))
            return terms | self.content_losses(batch, made)
        if not self.gan:
            return {}
        return discriminator_losses(self.adversarial, "D_Y", self.D_Y, y, fake_y)

    def translate(self, images: Tensor, direction: Direction) -> Tensor:  # noqa: ARG002
        return self.G(images)

    @property
    def multiple(self) -> int:
        return cast(int, self.G.multiple)
