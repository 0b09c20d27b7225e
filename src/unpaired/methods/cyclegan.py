"""CycleGAN: two translators that must undo each other, two critics that must be fooled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, cast

from torch import Tensor, nn

from unpaired.errors import UserError
from unpaired.losses import ADVERSARIAL, l1
from unpaired.methods.base import Batch, Direction, Losses, Method
from unpaired.methods.batching import together
from unpaired.methods.discriminator import discriminator_losses
from unpaired.methods.settings import (
    AdversarialName,
    NetworkSettings,
    check_weights,
    need_equal_channels,
)


@dataclass(frozen=True)
class CycleLoss:
    """Each number multiplies its term as it stands; 0 switches the term off.

    The paper's ablations: `gan=0` is cycle alone, `cycle=0` GAN alone, `cycle_y=0` GAN + forward
    cycle, `cycle_x=0` GAN + backward cycle (Zhu et al. 2017, Table 4).
    """

    adversarial: AdversarialName = "lsgan"
    """Form of the adversarial loss; the paper trains with least squares (sec. 4)."""
    gan: float = 1.0
    """Weight of L_GAN(G, D_Y) + L_GAN(F, D_X), eq. 1."""
    cycle: float = 10.0
    """lambda of eq. 3, on |F(G(x)) - x| and |G(F(y)) - y|."""
    cycle_x: float | None = None
    """lambda on |F(G(x)) - x| alone (forward cycle); None: `cycle`."""
    cycle_y: float | None = None
    """lambda on |G(F(y)) - y| alone (backward cycle); None: `cycle`."""
    identity: float = 0.0
    """Weight of |F(x) - x| and |G(y) - y| (sec. 5.2); the paper's painting -> photo uses 5."""
    identity_x: float | None = None
    """Weight of |F(x) - x| alone; None: `identity`."""
    identity_y: float | None = None
    """Weight of |G(y) - y| alone; None: `identity`."""

    def __post_init__(self) -> None:
        check_weights(
            self, "gan", "cycle", "cycle_x", "cycle_y", "identity", "identity_x", "identity_y"
        )
        if self.gan == 0 and not any(self.cycles + self.identities):
            raise UserError("every loss term is switched off; give --loss.gan or --loss.cycle")

    @property
    def cycles(self) -> tuple[float, float]:
        """(lambda of the forward cycle, lambda of the backward cycle)."""
        return (
            self.cycle if self.cycle_x is None else self.cycle_x,
            self.cycle if self.cycle_y is None else self.cycle_y,
        )

    @property
    def identities(self) -> tuple[float, float]:
        """(weight of |F(x) - x|, weight of |G(y) - y|)."""
        return (
            self.identity if self.identity_x is None else self.identity_x,
            self.identity if self.identity_y is None else self.identity_y,
        )


@dataclass(frozen=True)
class CycleGANConfig(NetworkSettings):
    """Settings of CycleGAN; the defaults are the paper's."""

    loss: CycleLoss = field(default_factory=CycleLoss)


class CycleGAN(Method):
    """Unpaired translation with cycle consistency (Zhu et al. 2017, https://arxiv.org/abs/1703.10593).

    G: X -> Y and F: Y -> X minimise eq. 3 against the discriminators D_Y and D_X:
    L_GAN(G, D_Y) + L_GAN(F, D_X) + lambda * L_cyc(G, F), plus the identity term of sec. 5.2.
    """

    name = "cyclegan"
    title = "CycleGAN"
    Config: ClassVar[type] = CycleGANConfig
    players = ("generators", "discriminators")
    directions = ("x2y", "y2x")
    remembered = ("fake_y", "fake_x")

    def __init__(
        self, settings: CycleGANConfig, *, channels_x: int, channels_y: int, size: int
    ) -> None:
        """Build G, F, D_X, D_Y.

        Raises: UserError if the identity term is on and the domains differ in channels.
        """
        super().__init__(settings, channels_x=channels_x, channels_y=channels_y, size=size)
        self.weights = settings.loss
        if any(settings.loss.identities):
            need_equal_channels(channels_x, channels_y, "identity", "--loss.identity 0")
        self.G = settings.make_generator(channels_x, channels_y, size)
        self.F = settings.make_generator(channels_y, channels_x, size)
        self.D_X = settings.make_discriminator(channels_x)
        self.D_Y = settings.make_discriminator(channels_y)
        self.adversarial = ADVERSARIAL[settings.loss.adversarial]

    def networks(self, player: str) -> list[nn.Module]:
        return {"generators": [self.G, self.F], "discriminators": [self.D_X, self.D_Y]}[player]

    def generate(self, batch: Batch) -> dict[str, Tensor]:
        """fake_y = G(x), fake_x = F(y); for the identity term same_y = G(y), same_x = F(x)."""
        G, F, x, y = self.G, self.F, batch["x"], batch["y"]
        identity_x, identity_y = self.weights.identities
        made: dict[str, Tensor] = {}
        made["fake_y"], *same_y = together(G, x, y) if identity_y else (G(x),)
        made["fake_x"], *same_x = together(F, y, x) if identity_x else (F(y),)
        if identity_y:
            made["same_y"] = same_y[0]
        if identity_x:
            made["same_x"] = same_x[0]
        return made

    def losses(self, player: str, batch: Batch, made: dict[str, Tensor]) -> Losses:
        if player == "generators":
            return self.generator_losses(batch["x"], batch["y"], **made)
        return self.discriminator_losses(batch["x"], batch["y"], made["fake_x"], made["fake_y"])

    def generator_losses(
        self,
        x: Tensor,
        y: Tensor,
        fake_y: Tensor,
        fake_x: Tensor,
        same_y: Tensor | None = None,
        same_x: Tensor | None = None,
    ) -> Losses:
        """Eq. 3 as G and F see it, term by term."""
        G, F, D_X, D_Y = self.G, self.F, self.D_X, self.D_Y
        gan, (cycle_x, cycle_y) = self.weights.gan, self.weights.cycles
        identity_x, identity_y = self.weights.identities
        terms: Losses = {}
        if gan:
            terms["gan_G"] = gan * self.adversarial.generator(D_Y(fake_y))  # eq. 1
            terms["gan_F"] = gan * self.adversarial.generator(D_X(fake_x))
        if cycle_x:
            terms["cycle_x"] = cycle_x * l1(F(fake_y), x)  # eq. 2
        if cycle_y:
            terms["cycle_y"] = cycle_y * l1(G(fake_x), y)
        if same_x is not None:
            terms["identity_x"] = identity_x * l1(same_x, x)  # sec. 5.2
        if same_y is not None:
            terms["identity_y"] = identity_y * l1(same_y, y)
        return terms

    def discriminator_losses(self, x: Tensor, y: Tensor, fake_x: Tensor, fake_y: Tensor) -> Losses:
        """Eq. 1 as D_X and D_Y see it; `fake_x`, `fake_y` come from the history buffers."""
        if not self.weights.gan:
            return {}
        return {
            **discriminator_losses(self.adversarial, "D_X", self.D_X, x, fake_x),
            **discriminator_losses(self.adversarial, "D_Y", self.D_Y, y, fake_y),
        }

    def translate(self, images: Tensor, direction: Direction) -> Tensor:
        return self.G(images) if direction == "x2y" else self.F(images)

    @property
    def multiple(self) -> int:
        return cast(int, self.G.multiple)
