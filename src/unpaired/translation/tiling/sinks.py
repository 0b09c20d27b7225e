"""Pictures that are written a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from unpaired.data.decode import Picture, Pixels
from unpaired.data.ranges import in_units
from unpaired.translation.tiling.sources import unnamed
from unpaired.whole import passing_name

TILE = 512
SMALLEST = 1024
"""Pixels: a pyramid ends with the first level no larger than this."""


def write_tiff(path: Path, pieces: Iterable[Picture], height: int, width: int) -> None:
    """A tiled, compressed TIFF with a pyramid of halved copies inside, as slide viewers want it.

    BigTIFF, so that it may be larger than 4 GiB. Written under a passing name and then moved, so
    that a file under `path` is whole. Only one row of tiles is held in memory; the halved copies
    wait in files without a name.

    Args: pieces: the picture's rows from the first to the last, in pieces of any height.
    Raises: OSError.
    """
    with passing_name(path) as passing:
        _write(passing, iter(pieces), height, width)
        passing.replace(path)


def _write(path: Path, pieces: Iterator[Picture], height: int, width: int) -> None:
    first = next(pieces)
    stacked = _stacked(first)
    channels, alpha = stacked.shape[2], first.alpha is not None
    colour = channels - alpha == 3 and stacked.dtype in (np.uint8, np.uint16)
    levels = _levels(height, width)
    options: dict[str, Any] = {
        "photometric": "rgb" if colour else "minisblack",
        "planarconfig": "contig" if channels > 1 else None,
        "extrasamples": _extra_samples(channels, colour, alpha),
        "compression": "zlib",
        "compressionargs": {"level": 3},
        "metadata": None,
        "tile": (TILE, TILE),
        "dtype": stacked.dtype,
    }

    def all_pieces() -> Iterator[Pixels]:
        yield stacked
        yield from (_stacked(piece) for piece in pieces)

    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        level: Iterable[Pixels] = all_pieces()
        for number, (rows, columns) in enumerate(levels):
            last = number == len(levels) - 1
            halved = None if last else _Halved(levels[number + 1], channels, stacked.dtype)
            tiff.write(
                _tiles(level, rows, halved),
                shape=(rows, columns, channels) if channels > 1 else (rows, columns),
                subifds=len(levels) - 1 if number == 0 else 0,
                subfiletype=1 if number else 0,
                **options,
            )
            level = halved.pieces() if halved else ()


def _levels(height: int, width: int) -> list[tuple[int, int]]:
    levels = [(height, width)]
    while max(levels[-1]) > SMALLEST and min(levels[-1]) > 1:
        levels.append((levels[-1][0] // 2, levels[-1][1] // 2))
    return levels


def _tiles(pieces: Iterable[Pixels], height: int, halved: _Halved | None) -> Iterator[Pixels]:
    """The tiles of a level, row by row, while its halved copy is made beside it."""
    band: list[Pixels] = []
    held = done = 0
    for piece in pieces:
        band.append(piece)
        held += len(piece)
        while held >= TILE or (held and done + held == height):
            rows = np.concatenate(band)
            now, rest = rows[:TILE], rows[TILE:]
            band, held, done = [rest], len(rest), done + len(now)
            if halved:
                halved.add(now)
            for left in range(0, now.shape[1], TILE):
                tile = now[:, left : left + TILE]
                edge = [(0, TILE - tile.shape[0]), (0, TILE - tile.shape[1]), (0, 0)]
                whole = np.pad(tile, edge)
                yield whole if whole.shape[2] > 1 else whole[:, :, 0]


class _Halved:
    """Means of 2 x 2 pixels, in a file without a name until the next level is written."""

    def __init__(self, size: tuple[int, int], channels: int, dtype: np.dtype[Any]) -> None:
        self.kept = unnamed((*size, channels), dtype)
        self.top = 0

    def add(self, rows: Pixels) -> None:
        """An even number of rows, but for the last."""
        height, width = len(rows) // 2, self.kept.shape[1]
        four = rows[: 2 * height, : 2 * width]
        exact = four.dtype.kind == "f"
        four = four.astype(np.float64 if exact else np.int64)
        four = four.reshape(height, 2, width, 2, -1).sum(axis=(1, 3))
        self.kept[self.top : self.top + height] = four / 4 if exact else (four + 2) // 4
        self.top += height

    def pieces(self) -> Iterator[Pixels]:
        """In order."""
        for top in range(0, len(self.kept), TILE):
            yield np.asarray(self.kept[top : top + TILE])


def _stacked(piece: Picture) -> Pixels:
    """In the units of the file, alpha behind."""
    stored = in_units(piece)
    return stored.pixels if stored.alpha is None else np.dstack([stored.pixels, stored.alpha])


def _extra_samples(channels: int, colour: bool, alpha: bool) -> list[str] | None:
    extra = channels - (3 if colour else 1)
    return ["unspecified"] * (extra - alpha) + ["unassalpha"] * alpha or None
