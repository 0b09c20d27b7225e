"""A network over a picture of any size, with the very numbers of one pass over the whole of it.

Instance norm needs the mean and variance of a whole feature map before the first of its pixels can
be used. So the network is run layer group by layer group: each group ends at a norm, its output is
computed strip by strip once to gather the statistics, and either kept, or computed again when the
next group asks for it, whichever costs less.

Sweeps go down and up in turn: what was written last, and is still in the system's memory, is read
first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from unpaired.errors import UserError
from unpaired.networks.blocks import InstanceNorm, ReflectionPad, ResnetBlock, moments
from unpaired.networks.resnet import ResNetGenerator
from unpaired.networks.unet import UNetGenerator, UNetLevel
from unpaired.translation.norms import Statistics
from unpaired.translation.tiling.fields import (
    Combined,
    Convolved,
    Doubled,
    Field,
    Pointwise,
    Reflected,
    Transposed,
    chain,
    strips,
)
from unpaired.translation.tiling.kept import Shelf, Tee

MULTIPLICATIONS = 2e11
"""Per second, about: what computing again costs..."""
BYTES = 1.5e9
"""...against reading and writing; on any machine the ratio is what matters."""
STRIP = 4e7
"""Bytes of a strip of feature maps, unless memory is short."""
BUFFERS = 5
"""Tensors of a strip's size that a chain of layers holds at once, about."""


@dataclass
class Exact:
    """One pass over one picture.

    Args:
        shelf: keeps what is not computed again.
        dtype: of computing and keeping.
        strip: bytes that a strip of feature maps may take while it is worked on.
        on_sweep: called with the number of each sweep over the picture, as it ends.
    """

    shelf: Shelf
    dtype: torch.dtype
    strip: float = STRIP
    on_sweep: Callable[[int], None] | None = None
    sweeps: int = field(default=0, init=False)

    def __call__(self, network: nn.Module, image: Field) -> Field:
        """The network's output for the picture, to be read in strips of `strip_height`."""
        return self.apply(network, image)

    def apply(self, module: nn.Module, x: Field) -> Field:
        """One layer, or a network of them."""
        rule = rule_of(module)
        if rule is None:
            raise UserError(
                f"a network with {type(module).__name__} can't be run in pieces; give --tiles off"
            )
        return rule(self, module, x)

    def settled(self, x: Field) -> tuple[Field, Statistics]:
        """Statistics of the whole field; and the field, kept if that is cheaper than another
        computation of it."""
        cost = sum(f.work * f.height * f.width for f in chain(x)) / MULTIPLICATIONS
        size = x.channels * x.height * x.width * self.dtype.itemsize
        if size <= self.shelf.memory or 2 * size / BYTES < cost:
            x = self.kept(x)
        return x, self.sweep(x)

    def sweep(self, x: Field) -> Statistics:
        """Statistics of the whole field."""
        gathered = Gathered(x.channels)
        for _, rows in strips(x, self.strip_height(x), up=self.sweeps % 2 == 1):
            gathered.add(rows)
        self.sweeps += 1
        if self.on_sweep:
            self.on_sweep(self.sweeps)
        return gathered.statistics(self.shelf.device)

    def kept(self, x: Field) -> Tee:
        """The field, held from its first sweep on."""
        return x if isinstance(x, Tee) else Tee(x, self.shelf.place(x, self.dtype))

    def strip_height(self, x: Field) -> int:
        """Rows at a time: an even number, at least 8."""
        widest = max(f.channels * f.width * f.height / x.height for f in chain(x))
        rows = self.strip / (widest * self.dtype.itemsize * BUFFERS)
        return max(8, int(rows) // 2 * 2)


class Gathered:
    """Mean and variance by channel of strips that come one after the other, in float64
    (Chan, Golub, LeVeque 1979)."""

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.mean = torch.zeros(channels, dtype=torch.float64)
        self.squares = torch.zeros(channels, dtype=torch.float64)
        """Sum of squared distances from the mean."""

    def add(self, rows: Tensor) -> None:
        """(1, C, h, W)."""
        count = rows.shape[2] * rows.shape[3]
        mean, variance = (moment.cpu() for moment in moments(rows))
        off = mean - self.mean
        total = self.count + count
        self.mean += off * (count / total)
        self.squares += variance * count
        self.squares += off**2 * (self.count * count / total)
        self.count = total

    def statistics(self, device: torch.device) -> Statistics:
        """(mean, biased variance), float32."""
        variance = self.squares / self.count
        return self.mean.float().to(device), variance.float().to(device)


Rule = Callable[[Exact, Any, Field], Field]


def _sequence(run: Exact, module: nn.Module, x: Field) -> Field:
    for layer in module.children():
        x = run.apply(layer, x)
    return x


def _instance_norm(run: Exact, module: InstanceNorm, x: Field) -> Field:
    x, (mean, variance) = run.settled(x)
    weight, bias = module.weight, module.bias

    def normed(rows: Tensor) -> Tensor:
        return fn.batch_norm(rows, mean, variance, weight, bias, False, 0.0, 1e-5)

    return Pointwise(x, normed)


def _block(run: Exact, module: ResnetBlock, x: Field) -> Field:
    x = run.kept(x)
    branch = run.apply(module.conv_block, x)
    added = Combined(x, branch)
    if x in chain(branch):  # it reads neighbours of its rows in x, which must not be overwritten
        return Tee(added, run.shelf.place(added, run.dtype))
    return Tee(added, x.kept)  # over x, which nobody else reads


def _resnet(run: Exact, module: ResNetGenerator, x: Field) -> Field:
    if not module.input_skip:
        return run.apply(module.model, x)
    painted = x
    for layer in list(module.model.children())[:-1]:
        painted = run.apply(layer, painted)
    return Pointwise(Combined(x, painted), torch.tanh)


def _level(run: Exact, module: UNetLevel, x: Field) -> Field:
    inner = run.apply(module.model, x)
    return inner if module.outermost else Combined(x, inner, joined=True)


def _pointwise(function: Callable[[Any], Callable[[Tensor], Tensor]]) -> Rule:
    return lambda _, module, x: Pointwise(x, function(module))


RULES: dict[type[nn.Module], Rule] = {
    nn.Sequential: _sequence,
    ResNetGenerator: _resnet,
    UNetGenerator: lambda run, m, x: run.apply(m.model, x),
    UNetLevel: _level,
    ResnetBlock: _block,
    InstanceNorm: _instance_norm,
    nn.BatchNorm2d: _pointwise(lambda m: m),
    ReflectionPad: lambda _, m, x: Reflected(x, m.padding[0]),
    nn.Conv2d: lambda run, m, x: Convolved(x, m, run.dtype),
    nn.ConvTranspose2d: lambda run, m, x: Transposed(x, m, run.dtype),
    nn.Upsample: lambda _run, m, x: Doubled(x, m.mode == "bilinear"),
    nn.ReLU: lambda _, _m, x: Pointwise(x, fn.relu_ if isinstance(x, Pointwise) else fn.relu),
    nn.LeakyReLU: _pointwise(lambda m: lambda rows: fn.leaky_relu(rows, m.negative_slope)),
    nn.Tanh: _pointwise(lambda _: torch.tanh),
    nn.Dropout: lambda _run, _m, x: x,
}
"""What each layer is to a field."""


def rule_of(module: nn.Module) -> Rule | None:
    """What a layer is to a field; None if nobody has said."""
    return next((RULES[kind] for kind in type(module).__mro__ if kind in RULES), None)


def can_be_tiled(network: nn.Module) -> bool:
    """Whether every layer of the network is known here."""
    return all(rule_of(module) is not None for module in network.modules())
