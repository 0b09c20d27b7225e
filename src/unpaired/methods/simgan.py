"""SimGAN: a translator that must fool its critic and stay near its input, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from unpaired.errors import UserError
from unpaired.losses import l1
from unpaired.methods.base import Batch, Losses
from unpaired.methods.oneway import OneWay, OneWayLoss, OneWaySettings
from unpaired.methods.settings import check_weights, need_equal_channels


@dataclass(frozen=True)
class SimGANLoss(OneWayLoss):
    """Each number multiplies its term as it stands; 0 switches the term off."""

    content: float = 10.0
    """Weight of |x - G(x)|; the CycleGAN paper states none for this baseline: its lambda."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_weights(self, "content")
        if not (self.gan or self.content):
            raise UserError("every loss term is switched off; give --loss.gan or --loss.content")


@dataclass(frozen=True)
class SimGANConfig(OneWaySettings):
    """Settings of SimGAN; networks and training are CycleGAN's (sec. 5.1.2 there)."""

    loss: SimGANLoss = field(default_factory=SimGANLoss)


class SimGAN(OneWay):
    """Self-regularised translation (Shrivastava et al. 2017, https://arxiv.org/abs/1612.07828).

    G: X -> Y minimises L_GAN(G, D_Y) + lambda |x - G(x)|_1, its paper's loss with the identity as
    feature transform, as the CycleGAN paper runs it. D_Y sees a history of generated images.
    """

    name = "simgan"
    title = "SimGAN"
    Config = SimGANConfig

    def __init__(
        self, settings: SimGANConfig, *, channels_x: int, channels_y: int, size: int
    ) -> None:
        """Build G and D_Y.

        Raises: UserError if the domains differ in channels while the content term is on.
        """
        super().__init__(settings, channels_x=channels_x, channels_y=channels_y, size=size)
        self.content = settings.loss.content
        if self.content:
            need_equal_channels(channels_x, channels_y, "content", "--loss.content 0")

    def content_losses(self, batch: Batch, made: dict[str, Tensor]) -> Losses:
        if not self.content:
            return {}
        return {"content_x": self.content * l1(batch["x"], made["fake_y"])}
