"""What concerns a whole batch, where several processes hold a part of it each.

Losses are means over images, so gradients of parts average to the gradient of the whole. What is
not a mean over images is here: statistics of the batch, and chance that falls on every image.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed
import torch.nn.functional as fn
from torch import Tensor, nn


@dataclass(frozen=True)
class Part:
    """Which part of the batch this process holds; parts are of one size."""

    index: int = 0
    parts: int = 1

    def of(self, whole: Tensor) -> Tensor:
        """(parts * N, ...) -> (N, ...): the rows of this part."""
        count = len(whole) // self.parts
        return whole[self.index * count : (self.index + 1) * count]


_here = Part()


@contextmanager
def holding(part: Part) -> Iterator[None]:
    """Within the context, this process's batches are `part` of the whole ones."""
    global _here
    before, _here = _here, part
    try:
        yield
    finally:
        _here = before


def uniform(count: int, *shape: int, device: torch.device | None = None) -> Tensor:
    """(count, *shape) from [0, 1) by torch's global generator: chance that falls on every image.

    It is drawn for the whole batch, by all processes alike, and this part is taken from it.
    """
    return _here.of(torch.rand(count * _here.parts, *shape, device=device))


class WholeBatchNorm2d(nn.BatchNorm2d):
    """Batch norm that, in training, takes mean and variance over the parts of all processes."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        if not self.training or _here.parts == 1:
            return super().forward(x)
        pixels = x.float()
        mean = _MeanOverParts.apply(pixels.mean((0, 2, 3)))  # (C,)
        centred = pixels - mean[:, None, None]
        variance = _MeanOverParts.apply(centred.square().mean((0, 2, 3)))
        if self.track_running_stats:
            self._remember(mean.detach(), variance.detach(), _here.parts * x[:, 0].numel())
        normed = centred * (variance + self.eps).rsqrt()[:, None, None]
        if self.weight is not None:
            normed = normed * self.weight[:, None, None] + self.bias[:, None, None]
        return normed.to(x.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        unbiased = variance * (count / max(1, count - 1))
        self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        self.running_mean.lerp_(mean, self.momentum)  # type: ignore[union-attr,arg-type]
        self.running_var.lerp_(unbiased, self.momentum)  # type: ignore[union-attr,arg-type]


class WholeBatchDropout(nn.Dropout):
    """Dropout whose mask is drawn for the whole batch, by all processes alike."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        if not self.training or _here.parts == 1:
            return super().forward(x)
        shape = (len(x) * _here.parts, *x.shape[1:])
        layout = torch.channels_last if x.dim() == 4 else torch.contiguous_format
        ones = torch.ones(shape, dtype=x.dtype, device=x.device).to(memory_format=layout)
        return x * _here.of(fn.dropout(ones, self.p))


def see_whole_batch(network: nn.Module) -> None:
    """Replace, in place, the layers of `network` for which a part of a batch is not enough.

    Parameters, buffers and their names stay as they are.
    """
    for name, module in list(network.named_children()):
        if type(module) is nn.BatchNorm2d:
            other: nn.Module = WholeBatchNorm2d(
                module.num_features,
                module.eps,
                module.momentum,
                module.affine,
                module.track_running_stats,
            )
            other.__dict__.update(module.__dict__)
            setattr(network, name, other)
        elif type(module) is nn.Dropout:
            setattr(network, name, WholeBatchDropout(module.p))
        else:
            see_whole_batch(module)


class _MeanOverParts(torch.autograd.Function):
    """The mean of a tensor over all processes, which is its own transpose."""

    @staticmethod
    def forward(_ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(total)
        return total / _here.parts

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        return _MeanOverParts.apply(gradient)
