"""Image files to arrays: the one decode policy of the project (docs/data.md has it as a table)."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import simplejpeg
import tifffile
from numpy.typing import NDArray
from PIL import (
    ExifTags,
    Image,
    ImageChops,
    ImageFile,
    ImageOps,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from unpaired.data.opening import Encoded, opened, path_of, size_of
from unpaired.data.picture import (
    MAX_PIXELS,
    Picture,
    Pixels,
    UnreadableImage,
    check_size,
    in_bands,
    oriented,
)
from unpaired.data.png import deep_colour, read_deep
from unpaired.data.ranges import NotFiniteError, in_levels
from unpaired.data.stacks import channels_of, planes_of, read_planes
from unpaired.data.tiff import first_page, has_alpha, is_tiff, left_to_pillow, read_page
from unpaired.data.units import PLAIN, Span
from unpaired.data.wholeness import CHECKS, Damaged, first_gif
from unpaired.errors import UserError

__all__ = ["MAX_PIXELS", "Picture", "Pixels", "UnreadableImage"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"})
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
"""Pillow's names. Of the others some start programs, and none is expected under these suffixes."""
JPEGS = ("JPEG", "MPO")  # the second is what phones write: a JPEG with more behind it
LUMA = np.array([299, 587, 114], dtype=np.uint32)  # ITU-R 601, as Pillow converts to grey

Image.MAX_IMAGE_PIXELS = None  # MAX_PIXELS is checked here, with a message that names the file
assert TiffImagePlugin, WebPImagePlugin  # loaded here, not by several threads at once
# of oddities in files that can be read; once for all, as changing filters while others decode or
# train in their threads would leave everybody's filters mixed
warnings.filterwarnings("ignore", module=r"PIL\.")
for library in ("tifffile", "PIL"):
    logging.getLogger(library).setLevel(logging.CRITICAL)


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
            return _read_pillow(path, content, at_least, any_type=any_type)
        with tifffile.TiffFile(content) as tiff:
            page = first_page(path, tiff, any_type=any_type)
            if not left_to_pillow(page):
                if planes := planes_of(path, tiff):
                    return read_planes(path, planes, content)
                return read_page(path, page, content)
        content.seek(0)
        return _read_pillow(path, content, None, any_type=any_type)


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
        with Image.open(content, formats=FORMATS) as image:
            check_size(path, *image.size)
            if image.format == "PNG" and (rawmode := deep_colour(image)):
                return 1 if rawmode == "LA;16B" else 3, "uint16"
            if image.mode == "F" and not any_type:
                raise UnreadableImage(path, "float32 pixels have no known range")
            grey = image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")
            deep = "uint16" if image.mode.startswith("I") else "uint8"
            return 1 if grey else 3, "float32" if image.mode == "F" else deep


def measure(file: Encoded) -> tuple[int, int]:
    """(width, height) from the header, without decoding and before any orientation is applied.

    Raises: UnreadableImage.
    """
    with as_unreadable(file) as path, opened(file) as content:
        if is_tiff(_start(content)):
            with tifffile.TiffFile(content) as tiff:
                page = first_page(path, tiff, any_type=True)
                return page.imagewidth, page.imagelength
        with Image.open(content, formats=FORMATS) as image:
            return image.size


def _start(content: BinaryIO) -> bytes:
    """The first bytes, by which formats are told."""
    start = content.read(4)
    content.seek(0)
    return start


def _read_pillow(path: Path, content: BinaryIO, at_least: int | None, *, any_type: bool) -> Picture:
    # an open file, not its path: Pillow maps plain files into memory, and confuses the sides of a
    # TIFF that lies on one
    with Image.open(content, formats=FORMATS) as image:
        width, height = image.size
        check_size(path, width, height)
        at = content.tell()
        if image.format in CHECKS:
            CHECKS[image.format](content, width * height)
        if image.format in JPEGS:
            if at_least and min(image.size) > at_least:
                scale = at_least / min(image.size)
                image.draft(None, (int(width * scale) or 1, int(height * scale) or 1))
            if image.mode in ("L", "RGB") and (pixels := _strictly(content, image)) is not None:
                return Picture(np.ascontiguousarray(oriented(pixels, _orientation(image))))
        if image.format == "GIF":
            _check_rows(content, image)
        content.seek(at)
        if image.format == "PNG" and deep_colour(image):
            deep = read_deep(content, image)
            if deep.pixels.shape[:2] != (height, width):
                raise UnreadableImage(path, "its size is not what its header says")
            return _turned(deep, _orientation(image))
        image.load()
        if image.mode == "CMYK" and "adobe" not in image.info and image.format in JPEGS:
            image.paste(ImageChops.invert(image))  # Pillow takes all ink for Adobe's, inverted
        if image.size != (width, height) and image.format not in JPEGS:
            raise UnreadableImage(path, "its size is not what its header says")
        try:
            return picture_of(image, any_type=any_type)
        except ValueError as error:
            raise UnreadableImage(path, str(error)) from None


def _check_rows(content: BinaryIO, image: Image.Image) -> None:
    """A GIF's data fill its first frame, which only unpacking them shows. Raises: Damaged."""
    (_, (left, top, right, bottom), _, arguments), *_ = image.tile  # type: ignore[attr-defined]
    size, packed = (right - left, bottom - top), first_gif(content)
    try:
        Image.frombytes("P", size, packed, "gif", *arguments[:2])
    except ValueError:
        raise Damaged("damaged: it has fewer pixels than its header says") from None


def _strictly(content: BinaryIO, image: Image.Image) -> Pixels | None:
    """A JPEG, to the bit as Pillow decodes it, at the size of `image`; None: Pillow must.

    Both are libjpeg-turbo, but here its warnings of corrupt data count.

    Raises: Damaged.
    """
    content.seek(0)
    space = "GRAY" if image.mode == "L" else "RGB"
    try:
        pixels = simplejpeg.decode_jpeg(
            content.read(), space, min_height=image.height, min_width=image.width
        )
    except ValueError as error:
        if "orrupt" in str(error) or "remature" in str(error):
            raise Damaged(f"damaged: {error}") from None
        return None
    return pixels if pixels.shape[:2] == (image.height, image.width) else None


def _turned(picture: Picture, orientation: Any) -> Picture:
    """Upright. Args: orientation: as `_orientation` finds it."""
    if orientation not in range(2, 9):
        return picture
    pixels, alpha = picture.pixels, picture.alpha
    if alpha is not None:
        alpha = np.ascontiguousarray(oriented(alpha[:, :, None], orientation)[:, :, 0])
    return Picture(np.ascontiguousarray(oriented(pixels, orientation)), alpha)


def picture_of(image: Image.Image, *, any_type: bool = False) -> Picture:
    """The policy for an image that Pillow holds: orientation, channels, depth, alpha.

    Args: any_type: floats and 32 bits, too, as they are.
    Raises: ValueError, in a few words, if its pixels have no known range.
    """
    upright = _upright(image)
    if upright.mode == "F":
        if not any_type:
            raise ValueError("float32 pixels have no known range")
        return Picture(np.asarray(upright)[:, :, None])
    if upright.mode.startswith("I"):
        values = np.asarray(upright)
        if any_type and upright.mode == "I":
            return Picture(values[:, :, None])
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("32-bit pixels beyond the range of 16 bits")
        return Picture(values.astype(np.uint16)[:, :, None])
    if upright.mode in ("1", "L"):
        return Picture(np.asarray(upright.convert("L"))[:, :, None])
    if upright.mode in ("LA", "La"):
        both = np.asarray(upright.convert("LA"))
        return Picture(both[:, :, :1], both[:, :, 1])
    if upright.has_transparency_data:
        four = np.asarray(upright.convert("RGBA"))
        return Picture(np.ascontiguousarray(four[:, :, :3]), four[:, :, 3])
    return Picture(np.asarray(upright if upright.mode == "RGB" else upright.convert("RGB")))


def _upright(image: Image.Image) -> Image.Image:
    """`ImageOps.exif_transpose`, but what stands upright is not copied."""
    image.load()  # a PNG may say at its end how it stands
    return ImageOps.exif_transpose(image) if _orientation(image) in range(2, 9) else image


def _orientation(image: Image.Image) -> Any:
    """1 to 8, or whatever a file has there."""
    return image.getexif().get(ExifTags.Base.Orientation, 1)


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


def with_channels(pixels: Pixels, channels: int) -> Pixels:
    """Convert between grey and RGB: one channel is repeated, three become ITU-R 601 luma.

    Raises: UserError for any other change, which nobody could guess.
    """
    have = pixels.shape[2]
    if have == channels:
        return pixels
    if have == 1 and channels == 3:
        return pixels.repeat(3, axis=2)
    if have == 3 and channels == 1:
        luma = np.empty((*pixels.shape[:2], 1), pixels.dtype)
        for rows in in_bands(pixels):
            luma[rows, :, 0] = (pixels[rows].astype(np.uint32) @ LUMA + 500) // 1000
        return luma
    raise UserError(f"an image has {have} channels where {channels} are expected; convert it first")


def with_dtype(pixels: Pixels, dtype: str) -> Pixels:
    """Convert between uint8 and uint16 so that the whole range stays the whole range."""
    if str(pixels.dtype) == dtype:
        return pixels
    if dtype == "uint16":
        return pixels.astype(np.uint16) * 257
    made = np.empty(pixels.shape, np.uint8)
    for rows in in_bands(pixels):
        made[rows] = (pixels[rows].astype(np.uint32) + 128) // 257
    return made


def to_unit(pixels: Pixels) -> NDArray[np.float32]:
    """uint8 or uint16 -> float32 in [-1, 1]: 0 is -1, the type's largest value is 1."""
    half = np.float32(np.iinfo(pixels.dtype).max / 2)
    values = pixels.astype(np.float32)
    values /= half
    values -= np.float32(1)
    return values


def from_unit(values: NDArray[Any], dtype: str) -> Pixels:
    """float in [-1, 1] -> uint8 or uint16, rounded to nearest; beyond the range is clipped."""
    top = np.iinfo(dtype).max
    scaled = (values.astype(np.float64) + 1) * (top / 2)
    return np.clip(np.rint(scaled), 0, top).astype(dtype)


ImageFile.LOAD_TRUNCATED_IMAGES = False
