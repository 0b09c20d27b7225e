"""The generator of Johnson et al. 2016, as CycleGAN uses it."""

from __future__ import annotations

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from unpaired.errors import UserError
from unpaired.networks.blocks import (
    BlurHalving,
    Norm,
    ReflectionPad,
    ResnetBlock,
    SmoothDoubling,
    Upsample,
    has_bias,
    make_norm,
    make_upsample,
)
from unpaired.networks.convolution import Conv2d


class ResNetGenerator(nn.Module):
    """c7s1-k, d2k, d4k, R4k x n, u2k, uk, c7s1-out (CycleGAN, appendix 7.2).

    Parameters are named as in the authors' PyTorch code, so its published weights load.

    Args:
        filters: k, filters of the first layer.
        blocks: n; the paper has 6 for 128x128 images and 9 from 256x256 on.
        input_skip: the network paints on its input, tanh(x + model(x)), instead of a blank canvas;
            colours that both domains share survive from the first step on. Not in the paper.
        downsamplings: how often the image is halved and doubled again; the paper has 2.
        upsample: "transposed" as in the paper, or "resize", which leaves no checkerboards.
        bias: of the convolutions before a norm; None: as in the authors' code.
        blur_down, blur_up: halve and double with filters against aliasing, as CUT's authors do;
            `upsample` then counts for nothing.

    Attributes:
        multiple: height and width must be multiples of it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        filters: int = 64,
        blocks: int = 9,
        norm: Norm = "instance",
        dropout: bool = False,
        upsample: Upsample = "transposed",
        downsamplings: int = 2,
        input_skip: bool = False,
        bias: bool | None = None,
        blur_down: bool = False,
        blur_up: bool = False,
    ) -> None:
        super().__init__()
        bias, k = has_bias(norm) if bias is None else bias, filters
        layers: list[nn.Module] = [
            ReflectionPad(3),
            nn.Conv2d(in_channels, k, 7, bias=bias),
            *make_norm(norm, k),
            nn.ReLU(inplace=True),
        ]
        for _ in range(downsamplings):
            layers += [nn.Conv2d(k, 2 * k, 3, 1 if blur_down else 2, padding=1, bias=bias)]
            layers += [*make_norm(norm, 2 * k), nn.ReLU(inplace=True)]
            layers += [BlurHalving(2 * k)] if blur_down else []
            k *= 2
        layers += [ResnetBlock(k, norm, dropout, bias) for _ in range(blocks)]
        for _ in range(downsamplings):
            if blur_up:
                layers += [SmoothDoubling(), nn.Conv2d(k, k // 2, 3, padding=1, bias=bias)]
            else:
                layers += [make_upsample(upsample, k, k // 2, bias)]
            layers += [*make_norm(norm, k // 2), nn.ReLU(inplace=True)]
            k //= 2
        layers += [ReflectionPad(3), Conv2d(k, out_channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)
        self.multiple = 2**downsamplings
        self.input_skip = input_skip
        if input_skip and in_channels != out_channels:
            raise UserError(
                f"--generator.input-skip needs equal channels, but the domains have {in_channels} "
                f"and {out_channels}; give --generator.no-input-skip (--preset small turns it on)"
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) in [-1, 1] -> (N, out, H, W) in [-1, 1]."""
        if not self.input_skip:
            return self.model(x)
        painted = x
        for layer in self.model[:-1]:
            painted = layer(painted)
        return torch.tanh(x + painted)

    def encode(self, x: Tensor) -> list[Tensor]:
        """What CUT contrasts (Park et al. 2020, appendix C.2): features from shallow to deep.

        Args: x: (N, in, H, W) in [-1, 1].
        Returns: the pixels, every downsampling convolution's output, and the output of the first
            and the fifth residual block (the last, if there are fewer): each (N, C, h, w).
        """
        blocks = [i for i, layer in enumerate(self.model) if isinstance(layer, ResnetBlock)]
        halving = [
            i
            for i, layer in enumerate(self.model)
            if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2)
        ]
        taps = {*halving, *blocks[:1], *blocks[4:5], *blocks[-1:][: len(blocks) < 5]}
        features = [x]
        for i, layer in enumerate(self.model[: max(taps, default=-1) + 1]):
            # a rectifier in place would overwrite the features before it
            x = fn.relu(x) if isinstance(layer, nn.ReLU) else layer(x)
            if i in taps:
                features.append(x)
        return features
