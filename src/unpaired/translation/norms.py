"""Instance norms that take their statistics from elsewhere than the image at hand.

An instance norm sees the whole image, so pieces of one image, or frames of one film, come out
unlike each other when each is normed by itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch.nn.functional as fn
from torch import Tensor, nn

from unpaired.networks.blocks import InstanceNorm, moments

Statistics = tuple[Tensor, Tensor]
"""Mean and (biased) variance by channel, each (C,) float32."""
Rule = Callable[[int, Tensor], Statistics]
"""From a norm's place in the network (from 0) and its input (N, C, H, W) to what it norms by."""


@contextlib.contextmanager
def normed_by(network: nn.Module, rule: Rule) -> Iterator[None]:
    """Within the block every instance norm of the network norms by what `rule` says, all images of
    a batch alike."""
    norms = [module for module in network.modules() if isinstance(module, InstanceNorm)]

    def forward(place: int, norm: InstanceNorm) -> Callable[[Tensor], Tensor]:
        def normed(x: Tensor) -> Tensor:
            mean, variance = rule(place, x)
            return fn.batch_norm(x, mean, variance, norm.weight, norm.bias, False, 0.0, 1e-5)

        return normed

    try:
        for place, norm in enumerate(norms):
            norm.__dict__["forward"] = forward(place, norm)
        yield
    finally:
        for norm in norms:
            norm.__dict__.pop("forward", None)


def pooled(x: Tensor) -> Statistics:
    """(N, C, H, W) -> statistics over all images and pixels together."""
    mean, variance = moments(x)
    return mean.float(), variance.float()
