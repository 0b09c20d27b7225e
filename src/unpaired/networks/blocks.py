"""Norms, upsampling and residual blocks that the networks are built from."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from unpaired.networks.convolution import Conv2d

Norm = Literal["instance", "instance-affine", "batch", "none"]
Upsample = Literal["transposed", "resize"]
PIECE = 1 << 18
"""Values that are summed at once: half a MiB in bfloat16."""


class ReflectionPad(nn.ReflectionPad2d):
    """Reflection padding in the type of its input.

    Autocast on CPUs would compute it in float32: a copy there and a copy back around every
    convolution, for an operation that only moves numbers.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x)


class InstanceNorm(nn.Module):
    """Each channel of each image to mean 0 and variance 1 (Ulyanov et al. 2016), eps 1e-5.

    The same numbers as `nn.InstanceNorm2d`, but a channels-last tensor stays channels-last: batch
    norm of one image at a time is instance norm, and it doesn't copy to contiguous memory first.
    Statistics always come from the image at hand, in training and evaluation alike.

    Batch norm on CPUs sums channels-last pixels one after the other in float32, which is wrong by
    2e-5 at 256x256 pixels and by 2e-3 at 2048x2048; larger images therefore take torch's way, or,
    where no gradients are wanted, `moments`.
    """

    def __init__(self, channels: int, affine: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same. Raises: ValueError if H = W = 1: one pixel has no variance."""
        if x.shape[2] * x.shape[3] == 1:
            raise ValueError(
                "instance norm of a single pixel: the network is too deep for the image"
            )
        if x.device.type == "cpu" and x.shape[2] * x.shape[3] > 2**16 and not x.is_contiguous():
            if not torch.is_grad_enabled():
                return torch.cat([self._normed_by(i, *moments(i)) for i in torch.split(x, 1)])
            normed = fn.instance_norm(x, weight=self.weight, bias=self.bias)
            return normed.contiguous(memory_format=torch.channels_last)
        each = [
            fn.batch_norm(i, None, None, self.weight, self.bias, True) for i in torch.split(x, 1)
        ]
        return each[0] if len(each) == 1 else torch.cat(each)

    def _normed_by(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        mean, variance = mean.float(), variance.float()
        return fn.batch_norm(x, mean, variance, self.weight, self.bias, False, 0.0, 1e-5)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance of every channel over all images and pixels, (C,) float64.

    On CPUs in pieces that fit in a core's cache, so that no float32 sum runs over many pixels, and
    the pieces are merged in float64 (Chan, Golub, LeVeque 1979): 25 times faster on channels-last
    bfloat16 than `torch.var_mean`, and as exact.
    """
    pixels = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
    if x.device.type != "cpu":
        variance, mean = torch.var_mean(pixels.float(), 0, correction=0)
        return mean.double(), variance.double()
    pieces = torch.split(pixels, max(1, PIECE // x.shape[1]))
    unused = torch.zeros(x.shape[1])  # running statistics in float32 ask for results in float32
    found = [torch.batch_norm_update_stats(piece, unused, unused, 0.0) for piece in pieces]
    shares = torch.tensor([len(piece) / len(pixels) for piece in pieces], dtype=torch.float64)
    means, variances = (torch.stack(each).double() for each in zip(*found))
    mean = shares @ means
    return mean, shares @ (variances + (means - mean) ** 2)


def make_norm(kind: Norm, channels: int) -> list[nn.Module]:
    """The norm layer as a list to splice into a stack of layers: empty for "none"."""
    if kind == "batch":
        return [nn.BatchNorm2d(channels)]
    if kind == "none":
        return []
    return [InstanceNorm(channels, affine=kind == "instance-affine")]


def has_bias(kind: Norm) -> bool:
    """Whether a convolution before the norm has a bias, as in the authors' code."""
    return kind != "batch"


class ResnetBlock(nn.Module):
    """x + conv_block(x), two 3x3 convolutions with reflection padding (Johnson et al. 2016)."""

    def __init__(self, channels: int, norm: Norm, dropout: bool, bias: bool | None = None) -> None:
        """Args: bias: of the convolutions; None: as `has_bias` says."""
        super().__init__()
        bias = has_bias(norm) if bias is None else bias
        self.conv_block = nn.Sequential(
            ReflectionPad(1),
            Conv2d(channels, channels, 3, bias=bias),
            *make_norm(norm, channels),
            nn.ReLU(inplace=True),
            *([nn.Dropout(0.5)] if dropout else []),
            ReflectionPad(1),
            Conv2d(channels, channels, 3, bias=bias),
            *make_norm(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class ResizeConv(nn.Sequential):
    """Nearest-neighbour doubling, then a 3x3 convolution: no checkerboards (Odena et al. 2016)."""

    def __init__(self, channels_in: int, channels_out: int, bias: bool) -> None:
        super().__init__(
            nn.Upsample(scale_factor=2, mode="nearest"),
            ReflectionPad(1),
            Conv2d(channels_in, channels_out, 3, bias=bias),
        )


class BlurHalving(nn.Sequential):
    """Every channel blurred by [1 2 1]/4 both ways, then every second pixel (Zhang 2019): what CUT
    halves its feature maps by."""

    def __init__(self, channels: int) -> None:
        blur = nn.Conv2d(channels, channels, 3, stride=2, groups=channels, bias=False)
        taps = torch.tensor([1.0, 2.0, 1.0])
        kernel = torch.outer(taps, taps) / 16
        blur.weight = nn.Parameter(kernel.expand(channels, 1, 3, 3).clone(), requires_grad=False)
        super().__init__(ReflectionPad(1), blur)


class SmoothDoubling(nn.Upsample):
    """Height and width doubled, every new pixel 3/4 of the nearest old one and 1/4 of the next one:
    bilinear, and the same as CUT's filter [1 3 3 1] over repeated edges."""

    def __init__(self) -> None:
        super().__init__(scale_factor=2, mode="bilinear", align_corners=False)


def make_upsample(kind: Upsample, channels_in: int, channels_out: int, bias: bool) -> nn.Module:
    """Double height and width: the paper's fractionally strided convolution, or `ResizeConv`."""
    if kind == "resize":
        return ResizeConv(channels_in, channels_out, bias)
    return nn.ConvTranspose2d(
        channels_in, channels_out, 3, stride=2, padding=1, output_padding=1, bias=bias
    )
