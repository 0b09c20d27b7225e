"""A small fully convolutional network that names the class of every pixel.

In the place of the FCN-8s (Long, Shelhamer and Darrell 2015) by which the paper reads generated
photos (Zhu et al. 2017, sec. 5.1.2): a U-Net (Ronneberger, Fischer and Brox 2015) of residual
blocks, for training in minutes without an accelerator.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

LEVELS = (1, 2, 4, 6)  # channels at 1/2, 1/4, 1/8 and 1/16 of the side, in widths


class FCN(nn.Module):
    """Pixels to class scores, with skips at every level.

    The first layer takes 2 x 2 pixels as one of 12 channels and the last gives 2 x 2 pixels back,
    which makes everything between four times cheaper.

    Attributes:
        multiple: height and width must be multiples of it.
    """

    multiple = 2 ** len(LEVELS)

    def __init__(self, classes: int, width: int = 32, dropout: float = 0.1) -> None:
        """Args: dropout: of whole channels at the deepest level."""
        super().__init__()
        widths = [width * level for level in LEVELS]
        self.down = nn.ModuleList(
            Residual(before, after) for before, after in zip([12, *widths], widths)
        )
        self.dropout = nn.Dropout2d(dropout)
        self.up = nn.ModuleList(
            Residual(below + own, own) for below, own in zip(widths[:0:-1], widths[-2::-1])
        )
        self.head = nn.Conv2d(width, 4 * classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] -> (N, classes, H, W), softmax's arguments."""
        h = fn.pixel_unshuffle(x, 2)
        kept = []
        for level, block in enumerate(self.down):
            h = block(fn.max_pool2d(h, 2) if level else h)
            kept.append(h)
        h = self.dropout(kept.pop())
        for block in self.up:
            h = fn.interpolate(h, scale_factor=2.0, mode="nearest")
            h = block(torch.cat([h, kept.pop()], 1))
        return fn.pixel_shuffle(self.head(h), 2)


class Residual(nn.Module):
    """Two 3x3 convolutions with batch norm, added to a 1x1 projection of the input."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Sequential(*_convolution(before, after, 3), nn.ReLU(inplace=True))
        self.second = nn.Sequential(*_convolution(after, after, 3))
        self.project = nn.Sequential(*_convolution(before, after, 1))

    def forward(self, x: Tensor) -> Tensor:
        return fn.relu(self.second(self.first(x)) + self.project(x))


def _convolution(before: int, after: int, kernel: int) -> Sequence[nn.Module]:
    conv = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(after)
