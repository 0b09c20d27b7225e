"""Convolutions that train faster in float32 on CPUs, with the parameters of torch's own."""

from __future__ import annotations

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from unpaired.networks.winograd import Winograd, fits


class Conv2d(nn.Conv2d):
    """`nn.Conv2d` without padding; where torch's way is slow, computed in another.

    Only for float32 gradients on CPUs: elsewhere vendors' kernels are at their best, and a pass
    without gradients stays one that can be exported. The results differ by rounding.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H - kernel + 1, W - kernel + 1) at stride 1."""
        if self._plain(x):
            return super().forward(x)
        if self.kernel_size == (3, 3) and fits(x, self.weight):
            return Winograd.apply(x, self.weight, self.bias)
        if self.kernel_size == (7, 7) and self.out_channels <= 4:
            return row_by_row(x, self.weight, self.bias)
        return super().forward(x)

    def _plain(self, x: Tensor) -> bool:
        return (
            x.device.type != "cpu"
            or x.dtype != torch.float32
            or not torch.is_grad_enabled()
            or torch.is_autocast_enabled("cpu")
            or torch.compiler.is_compiling()
            or self.stride != (1, 1)
            or self.padding != (0, 0)
        )


def row_by_row(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution to few channels: all rows of the filters at once, then the sum over rows.

    Vector units work on 16 channels at a time: 3 leave most of one idle, 7 rows of 3 do not.
    """
    channels, _, rows, _ = weight.shape
    flat = weight.transpose(0, 2).transpose(1, 2).flatten(0, 1)[:, :, None]  # (rows * O, C, 1, k)
    each = fn.conv2d(x, flat.contiguous(memory_format=torch.channels_last))
    height = x.shape[2] - rows + 1
    shares = torch.split(each, channels, 1)
    y = torch.stack([s[:, :, i : i + height] for i, s in enumerate(shares)]).sum(0)
    return y if bias is None else y + bias[:, None, None]
