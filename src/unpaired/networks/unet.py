"""The U-Net generator of pix2pix (Isola et al. 2017, appendix 6.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unpaired.errors import UserError
from unpaired.networks.blocks import Norm, has_bias, make_norm


def deepest(size: int) -> int:
    """How often `size` can be halved, at most 8 times: 8 for 256, 7 for 128, 6 for 64 or 192.

    Raises: UserError if it isn't a multiple of 4.
    """
    if size % 4:
        raise UserError(f"--size is {size}, but a unet needs a multiple of 4, best 64, 128 or 256")
    return min(8, (size & -size).bit_length() - 1)


class UNetGenerator(nn.Module):
    """An encoder and a decoder of `depth` levels with a skip at every level.

    Depth 7 is the authors' unet_128, depth 8 unet_256; parameters are named as theirs.

    Args: bias: of the convolutions before a norm; None: as in the authors' code.
    Attributes:
        multiple: height and width must be multiples of it, 2^depth.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        filters: int = 64,
        depth: int = 8,
        norm: Norm = "instance",
        dropout: bool = False,
        bias: bool | None = None,
    ) -> None:
        super().__init__()
        widths = [filters * min(2**level, 8) for level in range(depth)]
        block = UNetLevel(widths[-2], widths[-1], inner=None, norm=norm, bias=bias)
        for level in range(depth - 2, 0, -1):
            deep = dropout and widths[level] == widths[level - 1] == filters * 8
            block = UNetLevel(widths[level - 1], widths[level], block, norm, None, deep, bias)
        self.model = UNetLevel(out_channels, widths[0], block, norm, in_channels, bias=bias)
        self.multiple = 2**depth

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) in [-1, 1] -> (N, out, H, W) in [-1, 1]."""
        return self.model(x)


class UNetLevel(nn.Module):
    """One level: halve, run the level within, double, and put the input beside the result.

    The outermost level (`in_channels` given) ends in tanh and has no skip.
    """

    def __init__(
        self,
        outer: int,
        width: int,
        inner: UNetLevel | None,
        norm: Norm,
        in_channels: int | None = None,
        dropout: bool = False,
        bias: bool | None = None,
    ) -> None:
        super().__init__()
        self.outermost = in_channels is not None
        bias = has_bias(norm) if bias is None else bias
        down = nn.Conv2d(in_channels or outer, width, 4, stride=2, padding=1, bias=bias)
        joined = width if inner is None else 2 * width
        up_bias = bias or self.outermost
        up = nn.ConvTranspose2d(joined, outer, 4, stride=2, padding=1, bias=up_bias)
        within = [] if inner is None else [inner]
        if self.outermost:
            layers = [down, *within, nn.ReLU(inplace=True), up, nn.Tanh()]
        else:
            # no norm at the bottleneck: a 1x1 image has no variance
            down_norm = [] if inner is None else make_norm(norm, width)
            layers = [nn.LeakyReLU(0.2), down, *down_norm, *within]
            layers += [nn.ReLU(inplace=True), up, *make_norm(norm, outer)]
            layers += [nn.Dropout(0.5)] if dropout else []
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)
