"""Pairs of generators and of discriminators that share layers (Liu and Tuzel 2016, CoGAN)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from unpaired.networks.blocks import (
    Norm,
    ReflectionPad,
    Upsample,
    has_bias,
    make_norm,
    make_upsample,
)
from unpaired.networks.init import Init, initialise

Domain = Literal["x", "y"]


def coarsest_side(size: int) -> tuple[int, int]:
    """(side, doublings): `size` halved while it is even and 8 or more; 4 for powers of two."""
    doublings = 0
    while size % 2 == 0 and size >= 8:
        size, doublings = size // 2, doublings + 1
    return size, doublings


def _width(filters: int, level: int) -> int:
    """Channels at 2^-level of the resolution: doubled with every halving, 32-fold at most."""
    return filters * 2 ** min(level, 5)


class CoupledGenerators(nn.Module):
    """Two generators that tie what decides on content, and part where it is drawn.

    A latent vector becomes the coarsest map (4x4 for powers of two), which is doubled up to `size`:
    from `filters` channels at full resolution to 32-fold, as in the authors' networks for faces.
    All doublings but the last are the shared `trunk`; the last one and a 3x3 convolution to tanh
    are each domain's own `head`. Leaky ReLU 0.2: a search for a latent finds no dead units.

    Args: size: a multiple of 16.
    """

    def __init__(
        self,
        latent: int,
        channels_x: int,
        channels_y: int,
        size: int,
        filters: int = 32,
        norm: Norm = "instance",
        upsample: Upsample = "transposed",
        init: Init = "normal",
        init_gain: float = 0.02,
    ) -> None:
        super().__init__()
        side, doublings = coarsest_side(size)

        def double(level: int) -> list[nn.Module]:
            """From 2^-(level + 1) of the resolution to 2^-level."""
            wide, narrow = _width(filters, level + 1), _width(filters, level)
            return [
                make_upsample(upsample, wide, narrow, has_bias(norm)),
                *make_norm(norm, narrow),
                nn.LeakyReLU(0.2, inplace=True),
            ]

        widest = _width(filters, doublings)
        self.trunk = nn.Sequential(
            nn.Linear(latent, widest * side * side),
            nn.Unflatten(1, (widest, side, side)),
            *make_norm(norm, widest),
            nn.LeakyReLU(0.2, inplace=True),
            *(layer for level in range(doublings - 1, 0, -1) for layer in double(level)),
        )
        self.head_x, self.head_y = (
            nn.Sequential(*double(0), ReflectionPad(1), nn.Conv2d(filters, channels, 3), nn.Tanh())
            for channels in (channels_x, channels_y)
        )
        for part in (self.trunk, self.head_x, self.head_y):
            initialise(part, init, init_gain)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(N, latent) -> one scene in both domains: (N, C_X, H, W), (N, C_Y, H, W) in [-1, 1]."""
        content = self.trunk(z)
        return self.head_x(content), self.head_y(content)

    def render(self, z: Tensor, domain: Domain) -> Tensor:
        """(N, latent) -> (N, C, H, W) in [-1, 1], in one domain alone."""
        head = self.head_x if domain == "x" else self.head_y
        rendered: Tensor = head(self.trunk(z))
        return rendered


class CoupledDiscriminators(nn.Module):
    """Two discriminators that tie what judges content: own `stem`, shared `trunk`.

    4x4 convolutions halve the image down to the coarsest map, and one more gives the score; the
    first of them is each domain's own, all others are shared. Leaky ReLU 0.2, no norm in the stems.

    Args: size: a multiple of 16.
    """

    def __init__(
        self,
        channels_x: int,
        channels_y: int,
        size: int,
        filters: int = 32,
        norm: Norm = "instance",
        init: Init = "normal",
        init_gain: float = 0.02,
    ) -> None:
        super().__init__()
        _, halvings = coarsest_side(size)
        self.stem_x, self.stem_y = (
            nn.Sequential(
                nn.Conv2d(channels, _width(filters, 1), 4, stride=2, padding=1),
                nn.LeakyReLU(0.2, inplace=True),
            )
            for channels in (channels_x, channels_y)
        )
        shared: list[nn.Module] = []
        for level in range(1, halvings):
            narrow, wide = _width(filters, level), _width(filters, level + 1)
            shared += [
                nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=has_bias(norm)),
                *make_norm(norm, wide),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.trunk = nn.Sequential(*shared, nn.Conv2d(_width(filters, halvings), 1, 4))
        for part in (self.stem_x, self.stem_y, self.trunk):
            initialise(part, init, init_gain)

    def of(self, domain: Domain) -> nn.Sequential:
        """The discriminator of one domain: (N, C, size, size) -> (N, 1, h, w) raw scores.

        It is made of this network's own layers. h = w = 1 if `size` is a power of two.
        """
        return nn.Sequential(self.stem_x if domain == "x" else self.stem_y, self.trunk)
