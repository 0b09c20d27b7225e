"""Translate pictures that are too large for one pass: exactly, or fast."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from unpaired.data.conversions import from_unit, with_dtype
from unpaired.data.decode import Picture
from unpaired.data.memory import free_memory
from unpaired.data.units import Units
from unpaired.errors import UserError
from unpaired.methods.base import Direction, Method
from unpaired.training.precision import autocast
from unpaired.translation.base import finite, padding
from unpaired.translation.generator import generator_of
from unpaired.translation.network import TorchTranslator
from unpaired.translation.tiling.exact import STRIP, Exact, can_be_tiled
from unpaired.translation.tiling.fast import sample, tiles_of
from unpaired.translation.tiling.fields import strips
from unpaired.translation.tiling.image import Image
from unpaired.translation.tiling.kept import Shelf
from unpaired.translation.tiling.room import require_room
from unpaired.translation.tiling.sources import Source


def network_of(method: Method, direction: Direction) -> nn.Module:
    """The network that translates. Raises: UserError if the method has none to be run in pieces."""
    found = generator_of(method, direction)
    if found is None or not can_be_tiled(found):
        raise UserError(
            f"{method.title} can't translate a picture in pieces; give --tiles off and less of it"
        )
    return found


@dataclass(frozen=True)
class Prepared:
    """A picture as a network's input, and what is needed to write its translation."""

    network: nn.Module
    image: Image
    source: Source
    dtype: torch.dtype
    pixels: str
    """Type of the translation's pixels."""
    units: Units | None
    """What they stand for."""

    def pieces(self, found: Iterable[tuple[int, Tensor]]) -> Iterator[Picture]:
        """(top, rows) in [-1, 1] -> pictures without the padding, with the source's alpha."""
        for top, rows in found:
            bottom = min(top + rows.shape[2], self.source.height)
            if bottom <= top:
                return
            unit = rows[0, :, : bottom - top, : self.source.width].float().permute(1, 2, 0)
            alpha = self.source.rows(top, bottom).alpha
            if alpha is not None:
                alpha = with_dtype(np.ascontiguousarray(alpha), self.pixels)
            yield Picture(from_unit(finite(unit.cpu().numpy()), self.pixels), alpha, self.units)


def prepare(translator: TorchTranslator, source: Source, direction: str | None) -> Prepared:
    """Raises: UserError if the run has no such direction, or no network to be run in pieces."""
    way = translator.direction(direction)
    card, method = translator.card, translator.method
    dtype = translator.dtype or torch.float32
    high, wide = (
        padding(side, method.multiple, translator.smallest)
        for side in (source.height, source.width)
    )
    channels = card.channels_x if way == "x2y" else card.channels_y
    return Prepared(
        network_of(method, way),
        Image(source, channels, (high, wide), dtype, translator.device),
        source,
        dtype,
        card.dtype_y if way == "x2y" else card.dtype_x,
        card.units(way)[1],
    )


@torch.inference_mode()
def exactly(
    translator: TorchTranslator,
    source: Source,
    direction: str | None = None,
    *,
    memory: float | None = None,
    strip: float = STRIP,
    folder: Path | None = None,
    on_sweep: Callable[[int], None] | None = None,
) -> Iterator[Picture]:
    """The picture's translation from its first row to its last, in pieces of some rows.

    The same numbers as one pass over the whole picture, but for the rounding of sums.

    Args:
        memory: bytes of feature maps to hold; the rest goes to files in `folder`. None: a quarter
            of what is free.
        strip: bytes of feature maps to work on at a time.
        folder: for files without a name; None: the system's temporary folder.
        on_sweep: called after each sweep over the picture.
    Raises: UserError if the network can't be run so, or there is no room.
    """
    ready = prepare(translator, source, direction)
    if memory is None:
        memory = free_memory() / 4
    shelf = Shelf(memory, folder, translator.device)
    require_room(ready.network, ready.image, ready.dtype, shelf)
    run = Exact(shelf, ready.dtype, strip=strip, on_sweep=on_sweep)
    with torch.autocast(translator.device.type, enabled=False):
        result = run(ready.network, ready.image)
        yield from ready.pieces(strips(result, run.strip_height(result)))


@torch.inference_mode()
def fast(
    translator: TorchTranslator,
    source: Source,
    direction: str | None = None,
    *,
    on_error: Callable[[float], None] | None = None,
) -> Iterator[Picture]:
    """The same tile by tile, normed by statistics of a sample of the picture.

    Args: on_error: called with the estimated mean error, in grey levels of 255.
    Raises: UserError if the network can't be run so.
    """
    ready = prepare(translator, source, direction)
    multiple = translator.method.multiple
    network = _Autocast(ready.network, translator.device, translator.dtype)
    sampled = sample(network, ready.image, multiple)
    if on_error:
        on_error(sampled.error * 127.5)
    yield from ready.pieces(tiles_of(network, ready.image, sampled.statistics, multiple))


class _Autocast(nn.Module):
    """A network in its precision: a context around a generator ends at its first `yield`."""

    def __init__(self, network: nn.Module, device: torch.device, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.network, self.device, self.dtype = network, device, dtype

    def forward(self, x: Tensor) -> Tensor:
        with autocast(self.device, self.dtype):
            made: Tensor = self.network(x)
        return made
