"""Settings that methods share: the networks of the paper, and the weights of loss terms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from unpaired.errors import UserError
from unpaired.networks import (
    DiscriminatorConfig,
    GeneratorConfig,
    build_discriminator,
    build_generator,
)

AdversarialName = Literal["lsgan", "log", "hinge", "wgan-gp"]


@dataclass(frozen=True)
class NetworkSettings:
    """The generators and discriminators of CycleGAN, which its relatives use too."""

    filters: int = 64
    """Filters of the generators' first layer (ngf)."""
    blocks: int | None = None
    """Residual blocks; None: 6 for images under 256 pixels, 9 from there on (sec. 4)."""
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.filters <= 4096:
            raise UserError(f"--filters is {self.filters}; give a number from 1 to 4096")
        if self.blocks is not None and not 0 <= self.blocks <= 1000:
            raise UserError(f"--blocks is {self.blocks}; give a number from 0 to 1000")

    def make_generator(self, channels_in: int, channels_out: int, size: int) -> nn.Module:
        """A generator for training crops of `size` pixels."""
        blocks = self.blocks if self.blocks is not None else (6 if size < 256 else 9)
        return build_generator(
            self.generator, channels_in, channels_out, self.filters, blocks, size
        )

    def make_discriminator(self, channels: int) -> nn.Module:
        """A discriminator of images with so many channels."""
        return build_discriminator(self.discriminator, channels)


def check_weights(loss: object, *names: str) -> None:
    """Refuse weights of loss terms that are negative, infinite or no numbers; None is fine.

    Raises: UserError that names the option.
    """
    for name in names:
        value = getattr(loss, name)
        if value is not None and not 0 <= value < float("inf"):
            raise UserError(f"--loss.{name.replace('_', '-')} is {value}; give 0 or more")


def need_equal_channels(channels_x: int, channels_y: int, term: str, option: str) -> None:
    """Refuse a term that compares images of both domains when they differ in channels.

    Raises: UserError that says how to go without it.
    """
    if channels_x != channels_y:
        raise UserError(
            f"the {term} term needs equal channels, but X has {channels_x} and Y has "
            f"{channels_y}; give {option}"
        )
