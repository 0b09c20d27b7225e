"""Pictures that are read a few rows at a time."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tifffile

from unpaired.data.decode import (
    Picture,
    Pixels,
    UnreadableImage,
    read_picture,
)
from unpaired.data.ranges import NotFiniteError, in_levels
from unpaired.data.stacks import planes_of
from unpaired.data.tiff import check_segments
from unpaired.data.units import PLAIN, TYPES, Span
from unpaired.errors import UserError, reason_of

HELD = 256 * 2**20
"""Bytes of decoded TIFF segments that are held, so that neighbouring strips don't decode twice."""


class Source(Protocol):
    """A picture of which rows can be had, as often as wanted."""

    height: int
    width: int

    def rows(self, top: int, bottom: int) -> Picture:
        """(bottom - top, W, C) and its alpha."""


class Held:
    """A picture in memory, or mapped into it."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.height, self.width = picture.pixels.shape[:2]

    def rows(self, top: int, bottom: int) -> Picture:
        alpha = self.picture.alpha
        return Picture(
            self.picture.pixels[top:bottom], None if alpha is None else alpha[top:bottom]
        )


class TiledTIFF:
    """A TIFF (or BigTIFF) of tiles or strips: the first page, decoded segment by segment."""

    def __init__(self, path: Path, span: Span | None = None) -> None:
        """Args: span: as for `read_picture`.

        Raises: ValueError if its pixels need more than decoding: see `plain`.
        """
        self.path, self.span = path, span
        self.file = tifffile.TiffFile(path)
        page = self.file.pages[0]
        if not isinstance(page, tifffile.TiffPage) or not plain(page, any_type=span is not None):
            raise ValueError("not a plain TIFF")
        if planes_of(path, self.file):
            raise ValueError("a picture of several pages")
        check_segments(path, page, None)
        self.page = page
        self.height, self.width = page.imagelength, page.imagewidth
        self.depth = page.tilelength if page.is_tiled else page.rowsperstrip
        self.across = -(-self.width // page.tilewidth) if page.is_tiled else 1
        self.alpha = page.samplesperpixel in (2, 4) and bool({int(e) for e in page.extrasamples})
        self.bands: OrderedDict[int, Pixels] = OrderedDict()
        band = self.depth * self.width * page.samplesperpixel * np.dtype(page.dtype).itemsize
        self.most = max(2, HELD // band)

    def rows(self, top: int, bottom: int) -> Picture:
        """Raises: UnreadableImage if a segment can't be decoded."""
        bands = range(top // self.depth, -(-bottom // self.depth))
        values = np.concatenate([self._band(i) for i in bands])
        values = values[top - bands[0] * self.depth :][: bottom - top]
        picture = Picture(values)
        if self.alpha:
            picture = Picture(values[:, :, :-1], values[:, :, -1])
        try:
            return picture if self.span is None else in_levels(picture, self.span)
        except NotFiniteError as error:
            raise UnreadableImage(self.path, str(error)) from None

    def _band(self, number: int) -> Pixels:
        """(depth, W, C): a row of tiles, or a strip; fewer rows at the lower edge."""
        if number in self.bands:
            self.bands.move_to_end(number)
            return self.bands[number]
        page = self.page
        height = min(self.depth, self.height - number * self.depth)
        band = np.zeros((height, self.width, page.samplesperpixel), page.dtype)
        places = range(number * self.across, (number + 1) * self.across)
        offsets = [page.dataoffsets[i] for i in places]
        counts = [page.databytecounts[i] for i in places]
        try:
            for data, index in self.file.filehandle.read_segments(
                offsets, counts, indices=list(places)
            ):
                tile, (_, _, y, x, _), _ = page.decode(data, index, jpegtables=page.jpegtables)
                if tile is not None:
                    tile = tile[0, : self.height - y, : self.width - x]
                    band[y - number * self.depth :][: tile.shape[0], x : x + tile.shape[1]] = tile
        except Exception as error:  # decoders of hostile files raise nearly anything
            reason = f"rows from {number * self.depth} on can't be read ({type(error).__name__})"
            raise UnreadableImage(self.path, reason) from None
        while len(self.bands) >= self.most:
            self.bands.popitem(last=False)
        self.bands[number] = band
        return band


def plain(page: tifffile.TiffPage, *, any_type: bool) -> bool:
    """Whether segments decode to the pixels: upright grey or colour, 8 or 16 bits, interleaved.

    Args: any_type: all of TYPES.
    """
    tag = page.tags.get("Orientation")
    return (
        str(page.dtype) in (TYPES if any_type else PLAIN)
        and page.photometric in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB)
        and page.planarconfig == tifffile.PLANARCONFIG.CONTIG
        and page.imagedepth == 1
        and (tag is None or int(tag.value) == 1)
    )


def open_source(path: Path, span: Span | None = None) -> Source:
    """A picture file: a plain TIFF is read piece by piece; any other is decoded once, and what was
    decoded lies in an unnamed file from then on.

    Args: span: as for `read_picture`.
    Raises: UnreadableImage, UserError if there is no room for that file.
    """
    if path.suffix.lower() in (".tif", ".tiff", ".svs", ".btf"):
        with contextlib.suppress(ValueError, tifffile.TiffFileError):  # no plain one
            return TiledTIFF(path, span)
    return Held(_spilled(read_picture(path, span=span)))


def unnamed(shape: tuple[int, ...], dtype: Any) -> Pixels:
    """An array in a file without a name, which vanishes with it.

    Raises: UserError if the disk has no room for all of it: a mapping that finds none later ends
        the process.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    try:
        with tempfile.TemporaryFile() as file:  # the mapping keeps it
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype, "w+", 0, shape)
    except OSError as error:
        raise UserError(
            f'cannot keep {size / 1e6:.0f} MB of a picture in "{tempfile.gettempdir()}": '
            f"{reason_of(error)}; make room or set TMPDIR to a larger disk"
        ) from None


def _spilled(picture: Picture) -> Picture:
    if picture.pixels.nbytes < HELD:
        return picture
    mapped = unnamed(picture.pixels.shape, picture.pixels.dtype)
    mapped[:] = picture.pixels
    return Picture(mapped, picture.alpha)
