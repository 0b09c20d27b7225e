"""Where the weights of a layout stand in a file of the authors' code, and in our network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from unpaired.networks.layout import Layout, build

Key = tuple[tuple[int, ...], str]
"""Places of layers in `nn.Sequential`s, from the outermost, and "weight", "bias", "filt", ..."""
Shape = tuple[int, ...]
STATISTICS = ("running_mean", "running_var")
UNCOUNTED = "num_batches_tracked"
"""Of norms; old files lack it, and it changes nothing."""


class Unrecognised(ValueError):  # noqa: N818 - a finding, not a mistake
    """The weights are none of the known generators; says what was found."""


def places(layout: Layout) -> Iterator[tuple[Key, Shape]]:
    """Every weight of a file of this layout, in the order of our network's."""
    return _resnet_places(layout) if layout.kind == "resnet" else _unet_places(layout)


def _resnet_places(layout: Layout) -> Iterator[tuple[Key, Shape]]:
    k, place = layout.filters, 4
    yield from _conv((1,), (k, layout.channels_in, 7, 7), layout.bias)
    yield from _norm_places((2,), k, layout)
    for _ in range(2):
        yield from _conv((place,), (2 * k, k, 3, 3), layout.bias)
        yield from _norm_places((place + 1,), 2 * k, layout)
        if layout.blur_down:
            yield ((place + 3,), "filt"), (2 * k, 1, 3, 3)
        k, place = 2 * k, place + (4 if layout.blur_down else 3)
    second = 6 if layout.dropout else 5
    for _ in range(layout.depth):
        for at in (1, second):
            yield from _conv((place, at), (k, k, 3, 3), layout.bias)
            yield from _norm_places((place, at + 1), k, layout)
        place += 1
    for _ in range(2):
        if layout.blur_up:
            yield ((place,), "filt"), (k, 1, 4, 4)
            place += 1
            yield from _conv((place,), (k // 2, k, 3, 3), layout.bias)
        else:
            yield from _conv((place,), (k, k // 2, 3, 3), layout.bias, transposed=True)
        yield from _norm_places((place + 1,), k // 2, layout)
        k, place = k // 2, place + 3
    yield from _conv((place + 1,), (layout.channels_out, k, 7, 7), True)


def _unet_places(layout: Layout) -> Iterator[tuple[Key, Shape]]:
    widths = [layout.filters * min(2**level, 8) for level in range(layout.depth)]

    def level(number: int, path: tuple[int, ...]) -> Iterator[tuple[Key, Shape]]:
        outer, width = widths[number - 1], widths[number]
        innermost = number == layout.depth - 1
        yield from _conv((*path, 1), (width, outer, 4, 4), layout.bias)
        if not innermost:
            yield from _norm_places((*path, 2), width, layout)
            yield from level(number + 1, (*path, 3))
        up, joined = (3, width) if innermost else (5, 2 * width)
        yield from _conv((*path, up), (joined, outer, 4, 4), layout.bias, transposed=True)
        yield from _norm_places((*path, up + 1), outer, layout)

    k = layout.filters
    yield from _conv((0,), (k, layout.channels_in, 4, 4), layout.bias)
    yield from level(1, (1,))
    yield from _conv((3,), (2 * k, layout.channels_out, 4, 4), True, transposed=True)


def _conv(
    path: tuple[int, ...], shape: Shape, bias: bool, *, transposed: bool = False
) -> Iterator[tuple[Key, Shape]]:
    yield (path, "weight"), shape
    if bias:
        yield (path, "bias"), (shape[1 if transposed else 0],)


def _norm_places(
    path: tuple[int, ...], channels: int, layout: Layout
) -> Iterator[tuple[Key, Shape]]:
    affine = layout.norm in ("instance-affine", "batch")
    for leaf in (*(("weight", "bias") if affine else ()), *(STATISTICS * layout.statistics)):
        yield (path, leaf), (channels,)


def as_ours(weights: Mapping[Key, Tensor], layout: Layout) -> dict[str, Tensor]:
    """The state dict of `build(layout)`.

    Args: weights: of that very layout, as `recognise` found it.
    Raises: Unrecognised if filters against aliasing are not CUT's.
    """
    kept = []
    for key, shape in places(layout):
        if key[1] == "filt" and not _is_blur(weights[key], shape):
            raise Unrecognised(f"its filters against aliasing ({dotted(key)}) are not CUT's")
        doubling = key[1] == "filt" and shape[2] == 4  # ours needs no filter for that
        if not doubling and (layout.norm == "batch" or key[1] not in STATISTICS):
            kept.append(weights[key])
    with torch.device("meta"):
        ours = build(layout).state_dict()
    named = [name for name in ours if not name.endswith(UNCOUNTED)]
    state = dict(zip(named, kept, strict=True))
    return {name: state.get(name, torch.tensor(0)) for name in ours}


def _is_blur(filt: Tensor, shape: Shape) -> bool:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0] if shape[2] == 4 else [1.0, 2.0, 1.0])
    kernel = torch.outer(taps, taps) / 16
    return bool((filt.float() - kernel).abs().max() < 1e-3)


def dotted(key: Key | str) -> str:
    """For people: "10.1.weight"."""
    return key if isinstance(key, str) else ".".join([*map(str, key[0]), key[1]])
