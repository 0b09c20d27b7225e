"""TIFF as tifffile reads it: any number of channels, any type."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tifffile

from unpaired.data.picture import (
    MAX_BYTES,
    Picture,
    Pixels,
    UnreadableImage,
    check_size,
    oriented,
)
from unpaired.data.units import PLAIN as PLAIN_TYPES
from unpaired.data.units import TYPES

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
GREY = (tifffile.PHOTOMETRIC.MINISWHITE, tifffile.PHOTOMETRIC.MINISBLACK)
PREMULTIPLIED, STRAIGHT = 1, 2  # kinds of alpha
PLAIN, DEFLATES = 1, (8, 32946)  # compressions that need nothing but Python
ROWS = 1 << 20  # bytes that are inflated at once


def first_page(path: Path, tiff: tifffile.TiffFile, *, any_type: bool = False) -> tifffile.TiffPage:
    """Raises: UnreadableImage if it is too large, or its pixels have no known range.

    Args: any_type: of TYPES, not uint8 and uint16 alone.
    """
    page = tiff.pages[0]
    if not isinstance(page, tifffile.TiffPage):
        raise UnreadableImage(path, "no full first page")
    if _next_page(tiff, page) >= tiff.filehandle.size:  # with it goes what says what it is
        raise UnreadableImage(path, "cut short")
    check_size(path, page.imagewidth, page.imagelength)
    if not left_to_pillow(page):
        kind = str(page.dtype)
        if page.dtype is None or kind not in TYPES:
            raise UnreadableImage(path, f"{kind} pixels can't be read")
        if not any_type and kind not in PLAIN_TYPES:
            raise UnreadableImage(path, f"{kind} pixels have no known range")
        if not any_type and page.bitspersample != page.dtype.itemsize * 8:
            raise UnreadableImage(path, f"{page.bitspersample}-bit pixels have no known range")
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and kind not in PLAIN_TYPES:
            raise UnreadableImage(path, f"0 is white in it, which has no meaning with {kind}")
        if page.imagedepth != 1:
            raise UnreadableImage(path, f"a volume of {page.imagedepth} layers")
    elif page.bitspersample > 8 and page.photometric not in (*GREY, tifffile.PHOTOMETRIC.RGB):
        space = getattr(page.photometric, "name", page.photometric)
        reason = f"{page.bitspersample}-bit {space} would lose bits; convert it to RGB first"
        raise UnreadableImage(path, reason)
    return page


def _next_page(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> int:
    """Where the page after it should be; 0: it is the last."""
    form, file = tiff.tiff, tiff.filehandle
    file.seek(page.offset)
    (tags,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
    file.seek(page.offset + form.tagnosize + tags * form.tagsize)
    (place,) = struct.unpack(form.offsetformat, file.read(form.offsetsize))
    return int(place)


def left_to_pillow(page: tifffile.TiffPage) -> bool:
    """Palettes, CMYK, YCbCr, fewer than 8 bits: Pillow knows colour.

    And whatever is compressed otherwise than by deflate, unless Pillow would cut it to 8 bits.
    """
    if page.photometric not in (*GREY, tifffile.PHOTOMETRIC.RGB) or page.bitspersample < 8:
        return True
    packed = page.compression not in (PLAIN, *DEFLATES)
    white = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
    return packed and (
        (page.dtype == np.uint8 and page.samplesperpixel <= 4)
        or (page.dtype == np.uint16 and page.samplesperpixel == 1 and not white)
    )


def has_alpha(page: tifffile.TiffPage) -> bool:
    """Whether the last channel is alpha."""
    kinds = {int(kind) for kind in page.extrasamples}
    return bool(kinds & {PREMULTIPLIED, STRAIGHT}) and page.samplesperpixel in (2, 4)


def read_page(path: Path, page: tifffile.TiffPage, file: BinaryIO) -> Picture:
    """Decode what isn't left to Pillow.

    Raises: UnreadableImage, or whatever tifffile raises on a bad file.
    """
    check_segments(path, page, file)
    values = unpacked(path, page, page)
    values = values.transpose(1, 2, 0) if page.axes == "SYX" else values
    values = values[:, :, None] if page.axes == "YX" else values
    if values.shape != (page.imagelength, page.imagewidth, page.samplesperpixel):
        raise UnreadableImage(path, f"dimensions {page.axes}; expected rows, columns, channels")
    tag = page.tags.get("Orientation")
    values = np.ascontiguousarray(oriented(values, int(tag.value) if tag else 1))
    alpha = values[:, :, -1].copy() if has_alpha(page) else None
    pixels = values if alpha is None else np.ascontiguousarray(values[:, :, :-1])
    if alpha is not None and PREMULTIPLIED in {int(kind) for kind in page.extrasamples}:
        if str(page.dtype) not in PLAIN_TYPES:
            raise UnreadableImage(path, f"{page.dtype} values multiplied with alpha")
        pixels = _unmultiplied(pixels, alpha)
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        pixels = np.iinfo(pixels.dtype).max - pixels
    return Picture(pixels, alpha)


def unpacked(
    path: Path, what: tifffile.TiffPage | tifffile.TiffPageSeries, page: tifffile.TiffPage
) -> Pixels:
    """Its values as tifffile decodes them.

    Args: page: says how it is compressed.
    Raises: UnreadableImage if a package is missing; whatever tifffile raises on a bad file.
    """
    try:
        values: Pixels = what.asarray()
    except (ValueError, ImportError) as error:
        if isinstance(error, ValueError) and "imagecodecs" not in str(error):
            raise
        packing = getattr(page.compression, "name", page.compression)
        reason = f"its compression, {packing}, needs `pip install imagecodecs`"
        raise UnreadableImage(path, reason) from None
    return values


def check_segments(path: Path, page: tifffile.TiffPage, file: BinaryIO | None) -> None:
    """Every strip or tile is there, and unpacks to as much as it has to and no more.

    One that was left out on purpose, of no length at no place, counts as blank, as slides and maps
    have it. tifffile alone would leave what is missing as it finds the memory.

    Args: file: None: it is read strip by strip, so that neither its size nor what they unpack to
        is looked at.
    Raises: UnreadableImage.
    """
    across, down, size = _segments(page)
    planes = 1 if page.planarconfig == tifffile.PLANARCONFIG.CONTIG else page.samplesperpixel
    wanted = across * down * planes
    whole = page.imagewidth * page.imagelength * page.samplesperpixel * page.bitspersample // 8
    if size > MAX_BYTES or (file and whole > MAX_BYTES):
        raise UnreadableImage(path, f"its pixels take over {MAX_BYTES} bytes")
    places = list(zip(page.dataoffsets, page.databytecounts))
    end = page.parent.filehandle.size
    if len(places) < wanted or min(len(page.dataoffsets), len(page.databytecounts)) < wanted:
        raise UnreadableImage(path, f"{wanted - len(places)} of {wanted} strips or tiles missing")
    for offset, count in places[:wanted]:
        if (offset == 0) != (count == 0) or offset + count > end:
            raise UnreadableImage(path, "cut short")
    if file and page.compression in DEFLATES:
        for offset, count in places[:wanted]:
            file.seek(offset)
            _inflates(path, file, count, size)


def _segments(page: tifffile.TiffPage) -> tuple[int, int, int]:
    """How many strips or tiles lie across and down, and the bytes of one."""
    width, length = page.imagewidth, page.rowsperstrip
    if page.is_tiled:
        width, length = page.tilewidth, page.tilelength
    length = min(length, page.imagelength) if not page.is_tiled else length
    samples = page.samplesperpixel if page.planarconfig == tifffile.PLANARCONFIG.CONTIG else 1
    if width <= 0 or length <= 0:
        return 1, 1, MAX_BYTES + 1
    across, down = -(-page.imagewidth // width), -(-page.imagelength // length)
    return across, down, width * length * samples * page.bitspersample // 8


def _inflates(path: Path, file: BinaryIO, count: int, most: int) -> None:
    """A deflated strip is whole by its checksum, and no bomb. Raises: UnreadableImage."""
    stream, made = zlib.decompressobj(), 0
    while count and not stream.eof:
        packed = file.read(min(count, ROWS))
        if not packed:
            raise UnreadableImage(path, "cut short")
        count -= len(packed)
        while packed and not stream.eof:
            made += len(stream.decompress(packed, ROWS))
            packed = stream.unconsumed_tail
            if made > most:
                raise UnreadableImage(path, "a strip or tile unpacks to more than its pixels")
    if made and not stream.eof:
        raise UnreadableImage(path, "cut short")


def _unmultiplied(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Colours as they were before they were multiplied with alpha."""
    top = np.iinfo(pixels.dtype).max
    share = np.maximum(alpha, 1)[:, :, None].astype(np.float64) / top
    return np.rint(np.minimum(pixels / share, top)).astype(pixels.dtype)


def is_tiff(start: bytes) -> bool:
    """Whether a file starts as TIFFs do."""
    return start[:4] in MAGIC
