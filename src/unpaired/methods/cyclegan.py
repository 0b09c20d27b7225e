"""CycleGAN: two translators that must undo each other, two critics that must be fooled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, cast

from torch import Tensor, nn

from unpaired.errors import UserError
from unpaired.losses import ADVERSARIAL, l1
from unpaired.methods.base import Batch, Direction, Losses, Method
from unpaired.methods.batching import together
from unpaired.networks import (
    DiscriminatorConfig,
    GeneratorConfig,
    build_discriminator,
    build_generator,
)


@dataclass(frozen=True)
class CycleLoss:
    """Each number multiplies its term as it stands; 0 switches the term off.

    The paper's ablations: `gan=0` is cycle alone, `cycle=0` GAN alone, `cycle_y=0` GAN + forward
    cycle, `cycle_x=0` GAN + backward cycle (Zhu et al. 2017, Table 4).
    """

    adversarial: Literal["lsgan", "log", "hinge", "wgan-gp"] = "lsgan"
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
        for name in ("gan", "cycle", "cycle_x", "cycle_y", "identity", "identity_x", "identity_y"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise UserError(f"--loss.{name.replace('_', '-')} is {value}; give 0 or more")
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
class CycleGANConfig:
    """Settings of CycleGAN; the defaults are the paper's."""

    filters: int = 64
    """Filters of the generators' first layer (ngf)."""
    blocks: int | None = None
    """Residual blocks; None: 6 for images under 256 pixels, 9 from there on (sec. 4)."""
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    loss: CycleLoss = field(default_factory=CycleLoss)

    def __post_init__(self) -> None:
        if self.filters < 1:
            raise UserError(f"--filters is {self.filters}; give 1 or more")
        if self.blocks is not None and self.blocks < 0:
            raise UserError(f"--blocks is {self.blocks}; give 0 or more")


class CycleGAN(Method):
    """Unpaired translation with cycle consistency (Zhu et al. 2017, https://arxiv.org/abs/1703.10593).

    G: X -> Y and F: Y -> X minimise eq. 3 against the discriminators D_Y and D_X:
    L_GAN(G, D_Y) + L_GAN(F, D_X) + lambda * L_cyc(G, F), plus the identity term of sec. 5.2.
    """

    name = "cyclegan"
    Config = CycleGANConfig
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
        if any(settings.loss.identities) and channels_x != channels_y:
            raise UserError(
                f"the identity term needs equal channels, but X has {channels_x} and Y has "
                f"{channels_y}; give --loss.identity 0"
            )
        blocks = settings.blocks if settings.blocks is not None else (6 if size < 256 else 9)
        generator, discriminator = settings.generator, settings.discriminator
        self.G = build_generator(generator, channels_x, channels_y, settings.filters, blocks)
        self.F = build_generator(generator, channels_y, channels_x, settings.filters, blocks)
        self.D_X = build_discriminator(discriminator, channels_x)
        self.D_Y = build_discriminator(discriminator, channels_y)
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
        terms: Losses = {}
        for name, D, real, fake in (("D_X", self.D_X, x, fake_x), ("D_Y", self.D_Y, y, fake_y)):
            real_scores, fake_scores = together(D, real, fake)
            terms[name] = self.adversarial.discriminator(real_scores, fake_scores)
            if self.adversarial.penalty is not None:
                terms[f"{name}_penalty"] = self.adversarial.penalty(D, real, fake)
        return terms

    def translate(self, images: Tensor, direction: Direction) -> Tensor:
        return self.G(images) if direction == "x2y" else self.F(images)

    @property
    def multiple(self) -> int:
        return cast(int, self.G.multiple)
