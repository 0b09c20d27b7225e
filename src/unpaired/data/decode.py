"""Image files to arrays: the one decode policy of the project (docs/data.md has it as a table)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import tifffile
from PIL import UnidentifiedImageError

from unpaired.data.opening import Encoded, opened, path_of, size_of
from unpaired.data.picture import MAX_PIXELS, Picture, Pixels, UnreadableImage
from unpaired.data.pillow import measure_pillow, probe_pillow, read_pillow
from unpaired.data.ranges import NotFiniteError, in_levels
from unpaired.data.stacks import channels_of, planes_of, read_planes
from unpaired.data.tiff import first_page, has_alpha, is_tiff, left_to_pillow, read_page
from unpaired.data.units import PLAIN, Span
from unpaired.data.wholeness import Damaged

__all__ = ["MAX_PIXELS", "Picture", "Pixels", "UnreadableImage"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"})


def read_picture(file: Encoded, at_least: int | None = None, span: Span | None = None) -> Picture:
    """Decode one file by its content, whatever its name says.

    The first frame or page, with EXIF orientation applied; of an OME, ImageJ or tifffile stack, all
    its channels. 8-bit stays uint8, 16-bit stays uint16.
    Palette and CMYK become RGB, one bit becomes grey, alpha is split off, profiles are dropped.
    A file that is cut short, or damaged where its format shows it, is unreadable.

    Args:
        at_least: the caller only needs the picture with its shorter side at least this long, so a
            JPEG may be decoded at a half, a quarter or an eighth of its size.
        span: these values become 0 and 65535 of uint16, and any type of TYPES can be read.
    Raises: UnreadableImage.
    """
    stored = read_stored(file, at_least, any_type=span is not None)
    return ranged(stored, path_of(file), span)


def ranged(stored: Picture, path: Path, span: Span | None) -> Picture:
    """A picture as its file has it, as `read_picture` gives it. Raises: UnreadableImage."""
    kind = str(stored.pixels.dtype)
    if span is None and kind not in PLAIN:
        raise UnreadableImage(path, f"{kind} pixels have no known range")
    try:
        return stored if span is None else in_levels(stored, span)
    except NotFiniteError as error:
        raise UnreadableImage(path, str(error)) from None


def read_stored(file: Encoded, at_least: int | None = None, *, any_type: bool = True) -> Picture:
    """As `read_picture`, the values as the file has them.

    Args: any_type: not uint8 and uint16 alone.
    Raises: UnreadableImage.
    """
    with as_unreadable(file) as path, opened(file) as content:
        if not is_tiff(_start(content)):
            return read_pillow(path, content, at_least, any_type=any_type)
        with tifffile.TiffFile(content) as tiff:
            page = first_page(path, tiff, any_type=any_type)
            if not left_to_pillow(page):
                if planes := planes_of(path, tiff):
                    return read_planes(path, planes, content)
                return read_page(path, page, content)
        content.seek(0)
        return read_pillow(path, content, None, any_type=any_type)


def probe(file: Encoded, *, any_type: bool = False) -> tuple[int, str]:
    """(channels without alpha, dtype) from the header, without decoding.

    Args: any_type: as for `read_stored`.
    Raises: UnreadableImage.
    """
    with as_unreadable(file) as path, opened(file) as content:
        if is_tiff(_start(content)):
            with tifffile.TiffFile(content) as tiff:
                page = first_page(path, tiff, any_type=any_type)
                if not left_to_pillow(page):
                    if planes := planes_of(path, tiff):
                        return channels_of(planes), str(page.dtype)
                    return page.samplesperpixel - has_alpha(page), str(page.dtype)
            content.seek(0)
        return probe_pillow(path, content, any_type=any_type)


def measure(file: Encoded) -> tuple[int, int]:
    """(width, height) from the header, without decoding and before any orientation is applied.

    Raises: UnreadableImage.
    """
    with as_unreadable(file) as path, opened(file) as content:
        if is_tiff(_start(content)):
            with tifffile.TiffFile(content) as tiff:
                page = first_page(path, tiff, any_type=True)
                return page.imagewidth, page.imagelength
        return measure_pillow(content)


def _start(content: BinaryIO) -> bytes:
    """The first bytes, by which formats are told."""
    start = content.read(4)
    content.seek(0)
    return start


@contextlib.contextmanager
def as_unreadable(file: Encoded) -> Iterator[Path]:
    """Its name; whatever a decoder raises on a bad file becomes one exception with a reason.

    Raises: UnreadableImage.
    """
    path = path_of(file)
    try:
        yield path
    except UnreadableImage:
        raise
    except Damaged as error:
        raise UnreadableImage(path, str(error)) from None
    except MemoryError:
        raise UnreadableImage(path, "it does not fit in memory") from None
    except OSError as error:
        raise UnreadableImage(path, error.strerror or _why(file, error)) from None
    # decoders of hostile files raise nearly anything; each is the same to us: unreadable
    except Exception as error:
        raise UnreadableImage(path, f"not a whole image ({type(error).__name__})") from None


def _why(file: Encoded, error: OSError) -> str:
    """What Pillow had against a file that the system could read."""
    if _empty(file):
        return "the file is empty"
    suffix = path_of(file).suffix.lower()
    if isinstance(error, UnidentifiedImageError) and suffix and suffix not in IMAGE_SUFFIXES:
        return "no picture of a kind that is read here"
    return "not a whole image"


def _empty(file: Encoded) -> bool:
    with opened(file) as content:
        return size_of(content) == 0
