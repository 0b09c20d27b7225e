"""Discriminators that judge overlapping patches (Isola et al. 2017), or single pixels."""

from __future__ import annotations

from torch import Tensor, nn

from unpaired.networks.blocks import Norm, has_bias, make_norm


class PatchGAN(nn.Module):
    """C64-C128-...: `layers` 4x4 convolutions of stride 2, one of stride 1, and the score.

    With 3 layers every score sees 70x70 pixels (the paper's), with 2 it sees 34x34, with 1 16x16,
    with 4 142x142. Leaky ReLU 0.2; no norm in the first layer; scores are raw, without a sigmoid.
    Parameters are named as in the authors' PyTorch code.

    Attributes:
        receptive_field: side of the square that one score sees, in pixels.
    """

    def __init__(
        self, in_channels: int, filters: int = 64, layers: int = 3, norm: Norm = "instance"
    ) -> None:
        super().__init__()
        widths = [filters * min(2**level, 8) for level in range(layers + 1)]
        bias = has_bias(norm)
        stack: list[nn.Module] = [
            nn.Conv2d(in_channels, widths[0], 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for level in range(1, layers + 1):
            stride = 2 if level < layers else 1
            stack += [
                nn.Conv2d(widths[level - 1], widths[level], 4, stride, padding=1, bias=bias),
                *make_norm(norm, widths[level]),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        stack += [nn.Conv2d(widths[-1], 1, 4, stride=1, padding=1)]
        self.model = nn.Sequential(*stack)
        field = 1
        for stride in (1, 1, *[2] * layers):
            field = (field - 1) * stride + 4
        self.receptive_field = field

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 1, h, w) scores; higher is more real."""
        return self.model(x)


class PixelGAN(nn.Module):
    """A 1x1 "patch": judges colours, pixel by pixel (Isola et al. 2017, sec. 4.4).

    Attributes:
        receptive_field: 1.
    """

    def __init__(self, in_channels: int, filters: int = 64, norm: Norm = "instance") -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(in_channels, filters, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(filters, 2 * filters, 1, bias=has_bias(norm)),
            *make_norm(norm, 2 * filters),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * filters, 1, 1, bias=has_bias(norm)),
        )
        self.receptive_field = 1

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 1, H, W) scores; higher is more real."""
        return self.net(x)
