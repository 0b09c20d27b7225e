"""Feature maps of a picture too large to hold: any rows of them are computed when asked for.

A field knows which rows of the field before it its own rows follow from, so a chain of fields can
be evaluated strip by strip, and every strip is exactly what the whole picture would give: real
neighbours where there are any, the layer's own padding at the picture's edges alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
import torch.nn.functional as fn
from torch import Tensor, nn


class Field(Protocol):
    """(channels, height, width), of which rows can be had."""

    @property
    def channels(self) -> int:
        """Of every pixel."""

    @property
    def height(self) -> int:
        """In rows."""

    @property
    def width(self) -> int:
        """In pixels."""

    @property
    def parents(self) -> tuple[Field, ...]:
        """What it is computed from; of what is held somewhere, nothing."""

    @property
    def work(self) -> float:
        """Multiplications per pixel of its own, without its parents'."""

    def rows(self, top: int, bottom: int) -> Tensor:
        """(1, C, bottom - top, W): rows `top` to `bottom` (exclusive)."""


class Derived:
    """A field that follows from one other, pixel by pixel unless it says otherwise."""

    work = 0.0

    def __init__(
        self,
        parent: Field,
        channels: int | None = None,
        height: int | None = None,
        width: int | None = None,
    ) -> None:
        self.parent = parent
        self.parents: tuple[Field, ...] = (parent,)
        self.channels = parent.channels if channels is None else channels
        self.height = parent.height if height is None else height
        self.width = parent.width if width is None else width


class Pointwise(Derived):
    """Any function of single pixels: activations, norms with known statistics."""

    def __init__(self, parent: Field, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__(parent)
        self.function = function

    def rows(self, top: int, bottom: int) -> Tensor:
        return self.function(self.parent.rows(top, bottom))


class Reflected(Derived):
    """Padded by reflection on all four sides; rows that were just given are not computed again.

    What comes after it are kernels, which ask for strips that overlap. What two strips share is
    copied from the last one, so in a sweep, down or up, all that leads here is computed once.
    """

    def __init__(self, parent: Field, pad: int) -> None:
        super().__init__(parent, None, parent.height + 2 * pad, parent.width + 2 * pad)
        self.pad = pad
        self.top = self.bottom = 0
        self.held = torch.empty(0)
        """Rows `top` to `bottom`."""

    def rows(self, top: int, bottom: int) -> Tensor:
        shared = range(max(top, self.top), min(bottom, self.bottom))
        missing = [(top, shared.start), (shared.stop, bottom)] if shared else [(top, bottom)]
        new = [
            (a - top, reflected_rows(self.parent, a - self.pad, b - self.pad))
            for a, b in missing
            if a < b
        ]
        if not new:
            return self.held[:, :, top - self.top : bottom - self.top]
        rows = new[0][1].new_empty(1, bottom - top, self.width, self.channels).permute(0, 3, 1, 2)
        if shared:
            rows[:, :, shared.start - top : shared.stop - top] = self.held[
                :, :, shared.start - self.top : shared.stop - self.top
            ]
        for at, inner in new:
            _frame(rows[:, :, at : at + inner.shape[2]], inner, self.pad)
        self.top, self.bottom, self.held = top, bottom, rows
        return rows


def _frame(rows: Tensor, inner: Tensor, pad: int) -> None:
    """Fill `rows` with `inner`, mirrored at its left and right edge."""
    rows[..., pad:-pad] = inner
    rows[..., :pad] = inner[..., 1 : pad + 1].flip(3)
    rows[..., -pad:] = inner[..., -pad - 1 : -1].flip(3)


def reflected_rows(field: Field, top: int, bottom: int) -> Tensor:
    """Rows that may lie beyond the edges, where they are mirrored without repeating the edge."""
    last = field.height - 1
    if top >= 0 and bottom <= field.height:
        return field.rows(top, bottom)
    places = torch.arange(top, bottom).abs()
    places = last - (last - places).abs()
    first, end = int(places.min()), int(places.max()) + 1
    held = field.rows(first, end)
    return held.index_select(2, (places - first).to(held.device))


class Convolved(Derived):
    """A convolution with zeros beyond the edges."""

    def __init__(self, parent: Field, conv: nn.Conv2d, dtype: torch.dtype) -> None:
        (self.k, across), (self.s, step) = conv.kernel_size, conv.stride
        self.p, side = (int(p) for p in conv.padding)
        super().__init__(
            parent,
            conv.out_channels,
            (parent.height + 2 * self.p - self.k) // self.s + 1,
            (parent.width + 2 * side - across) // step + 1,
        )
        self.work = float(conv.weight[0].numel() * conv.out_channels)
        self.weight = _laid_out(conv.weight, dtype)
        self.bias = None if conv.bias is None else conv.bias.detach().to(dtype)
        self.settings: dict[str, Any] = {
            "stride": conv.stride,
            "padding": (0, side),
            "groups": conv.groups,
        }

    def rows(self, top: int, bottom: int) -> Tensor:
        low, high = top * self.s - self.p, (bottom - 1) * self.s - self.p + self.k
        above, below = max(0, -low), max(0, high - self.parent.height)
        x = self.parent.rows(low + above, high - below)
        if above or below:
            x = fn.pad(x, (0, 0, above, below))
        return fn.conv2d(x, self.weight, self.bias, **self.settings)


class Transposed(Derived):
    """A fractionally strided convolution."""

    def __init__(self, parent: Field, conv: nn.ConvTranspose2d, dtype: torch.dtype) -> None:
        (self.k, across), (self.s, step) = conv.kernel_size, conv.stride
        self.p, side = (int(p) for p in conv.padding)
        more, wider = conv.output_padding
        super().__init__(
            parent,
            conv.out_channels,
            (parent.height - 1) * self.s - 2 * self.p + self.k + more,
            (parent.width - 1) * step - 2 * side + across + wider,
        )
        self.work = float(conv.weight[0].numel() * conv.in_channels / (self.s * step))
        self.weight = _laid_out(conv.weight, dtype)
        self.bias = None if conv.bias is None else conv.bias.detach().to(dtype)
        self.settings: dict[str, Any] = {
            "stride": conv.stride,
            "padding": (0, side),
            "output_padding": (0, wider),
        }

    def rows(self, top: int, bottom: int) -> Tensor:
        last = min(self.parent.height - 1, (bottom - 1 + self.p) // self.s)
        first = max(0, -((self.k - 1 - self.p - top) // self.s))
        first = min(first, last, (top + self.p) // self.s)  # rows that no input row reaches
        x = self.parent.rows(first, last + 1)
        y = fn.conv_transpose2d(x, self.weight, self.bias, **self.settings)
        start = top + self.p - first * self.s
        missing = start + bottom - top - y.shape[2]  # a last row that output padding alone makes
        if missing > 0:
            beyond = y.new_zeros(1, y.shape[1], missing, y.shape[3])
            if self.bias is not None:
                beyond += self.bias[:, None, None]
            y = torch.cat([y, beyond], 2)
        return y[:, :, start : start + bottom - top]


class Doubled(Derived):
    """Every pixel four times; or bilinear, where a row follows from its nearest and the next."""

    def __init__(self, parent: Field, smooth: bool = False) -> None:
        super().__init__(parent, None, 2 * parent.height, 2 * parent.width)
        self.beyond, self.mode = int(smooth), "bilinear" if smooth else "nearest"

    def rows(self, top: int, bottom: int) -> Tensor:
        first = max(0, (top - self.beyond) // 2)
        last = min(self.parent.height, (bottom + 1 + self.beyond) // 2)
        made = fn.interpolate(self.parent.rows(first, last), scale_factor=2, mode=self.mode)
        return made[:, :, top - 2 * first : bottom - 2 * first]


class Combined:
    """Two fields of one size: added, or one's channels after the other's."""

    work = 0.0

    def __init__(self, first: Field, second: Field, *, joined: bool = False) -> None:
        self.parents: tuple[Field, ...] = (first, second)
        self.joined = joined
        self.channels = first.channels + second.channels if joined else first.channels
        self.height, self.width = first.height, first.width

    def rows(self, top: int, bottom: int) -> Tensor:
        a, b = (parent.rows(top, bottom) for parent in self.parents)
        return torch.cat([a, b], 1) if self.joined else a + b


def strips(field: Field, height: int, *, up: bool = False) -> Iterator[tuple[int, Tensor]]:
    """(top, rows) from the field's first row to its last, `height` at a time; `up`: from the last
    strip to the first."""
    tops = range(0, field.height, height)
    for top in reversed(tops) if up else tops:
        yield top, field.rows(top, min(field.height, top + height))


def chain(field: Field) -> Iterator[Field]:
    """The field and all that is computed anew with it: up to what is held somewhere."""
    yield field
    for parent in field.parents:
        yield from chain(parent)


def _laid_out(weight: Tensor, dtype: torch.dtype) -> Tensor:
    return weight.detach().to(dtype).contiguous(memory_format=torch.channels_last)
