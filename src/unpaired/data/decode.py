"""Image files to arrays: the one decode policy of the project (docs/data.md has it as a table)."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, ImageOps

from unpaired.errors import UserError

Pixels = NDArray[Any]
"""(H, W, C), uint8 or uint16."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"})
MAX_PIXELS = 1 << 28  # 268 million: 16384 x 16384; larger files are refused before they are decoded
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
LUMA = np.array([299, 587, 114], dtype=np.uint32)  # ITU-R 601, as Pillow converts to grey

Image.MAX_IMAGE_PIXELS = None  # MAX_PIXELS is checked here, with a message that names the file
# of oddities in files that can be read; once for all, as changing filters while others decode or
# train in their threads would leave everybody's filters mixed
warnings.filterwarnings("ignore", module=r"PIL\.")


class UnreadableImage(Exception):  # noqa: N818 - the file is at fault, not the program
    """A file that can't be decoded. `path` and `reason` (a few words) say which and why."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


@dataclass(frozen=True)
class Picture:
    """A decoded file: `pixels` (H, W, C), uint8 or uint16, and `alpha` (H, W) if it has one."""

    pixels: Pixels
    alpha: Pixels | None = None

    def on_white(self) -> Pixels:
        """The pixels composited on white; what training sees."""
        if self.alpha is None:
            return self.pixels
        top = np.iinfo(self.pixels.dtype).max
        share = self.alpha[:, :, None].astype(np.float64) / top
        mixed = self.pixels * share + top * (1 - share)
        return np.rint(mixed).astype(self.pixels.dtype)


def read_picture(path: Path, at_least: int | None = None) -> Picture:
    """Decode one file by its content, whatever its name says.

    The first frame or page, with EXIF orientation applied. 8-bit stays uint8, 16-bit stays uint16.
    Palette and CMYK become RGB, one bit becomes grey, alpha is split off, profiles are dropped.

    Args:
        at_least: the caller only needs the picture with its shorter side at least this long, so a
            JPEG may be decoded at a half, a quarter or an eighth of its size.
    Raises: UnreadableImage.
    """
    with _reasons(path):
        with path.open("rb") as file:
            is_tiff = file.read(4) in TIFF_MAGIC
        return _read_tiff(path) if is_tiff else _read_pillow(path, at_least)


def probe(path: Path) -> tuple[int, str]:
    """(channels without alpha, dtype) from the header, without decoding.

    Raises: UnreadableImage.
    """
    with _reasons(path):
        with path.open("rb") as file:
            is_tiff = file.read(4) in TIFF_MAGIC
        if is_tiff:
            with tifffile.TiffFile(path) as tiff:
                page = _first_page(path, tiff)
                if not _left_to_pillow(page):
                    return page.samplesperpixel - _has_alpha(page), str(page.dtype)
        with Image.open(path) as image:
            _check_size(path, *image.size)
            grey = image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I")
            return 1 if grey else 3, "uint16" if image.mode.startswith("I") else "uint8"


def measure(path: Path) -> tuple[int, int]:
    """(width, height) from the header, without decoding and before any orientation is applied.

    Raises: UnreadableImage.
    """
    with _reasons(path):
        with path.open("rb") as file:
            is_tiff = file.read(4) in TIFF_MAGIC
        if is_tiff:
            with tifffile.TiffFile(path) as tiff:
                page = _first_page(path, tiff)
                return page.imagewidth, page.imagelength
        with Image.open(path) as image:
            return image.size


def _read_pillow(path: Path, at_least: int | None) -> Picture:
    # an open file, not its path: Pillow maps plain files into memory, and confuses the sides of a
    # TIFF that lies on one
    with path.open("rb") as file, Image.open(file) as image:
        _check_size(path, *image.size)
        if at_least and image.format == "JPEG" and min(image.size) > at_least:
            scale = at_least / min(image.size)
            image.draft(None, (int(image.width * scale) or 1, int(image.height * scale) or 1))
        image.load()
        try:
            return picture_of(image)
        except ValueError as error:
            raise UnreadableImage(path, str(error)) from None


def picture_of(image: Image.Image) -> Picture:
    """The policy for an image that Pillow holds: orientation, channels, depth, alpha.

    Raises: ValueError, in a few words, if its pixels have no known range.
    """
    upright = _upright(image)
    if upright.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    if upright.mode.startswith("I"):
        values = np.asarray(upright)
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
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9)
    return ImageOps.exif_transpose(image) if turned else image


def _read_tiff(path: Path) -> Picture:
    with tifffile.TiffFile(path) as tiff:
        page = _first_page(path, tiff)
        if _left_to_pillow(page):
            return _read_pillow(path, None)
        try:
            values = page.asarray()
        except (ValueError, ImportError) as error:
            if isinstance(error, ValueError) and "imagecodecs" not in str(error):
                raise
            return _read_packed_tiff(path, page)
        planar = page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and values.ndim == 3
        values = values.transpose(1, 2, 0) if planar else values
        values = values[:, :, None] if values.ndim == 2 else values
        if values.ndim != 3:
            raise UnreadableImage(path, f"{values.ndim} dimensions; expected 2 or 3")
        tag = page.tags.get("Orientation")
        values = np.ascontiguousarray(_oriented(values, int(tag.value) if tag else 1))
        alpha = values[:, :, -1].copy() if _has_alpha(page) else None
        pixels = values if alpha is None else np.ascontiguousarray(values[:, :, :-1])
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            pixels = np.iinfo(pixels.dtype).max - pixels
        return Picture(pixels, alpha)


def _first_page(path: Path, tiff: tifffile.TiffFile) -> tifffile.TiffPage:
    page = tiff.pages[0]
    if not isinstance(page, tifffile.TiffPage):
        raise UnreadableImage(path, "no full first page")
    _check_size(path, page.imagewidth, page.imagelength)
    if not _left_to_pillow(page) and page.dtype not in (np.uint8, np.uint16):
        raise UnreadableImage(path, f"{page.dtype} pixels have no known range")
    return page


def _left_to_pillow(page: tifffile.TiffPage) -> bool:
    """Palettes, CMYK, YCbCr, one bit: Pillow knows colour."""
    known = tifffile.PHOTOMETRIC.MINISWHITE, tifffile.PHOTOMETRIC.MINISBLACK
    return page.dtype == np.bool_ or page.photometric not in (*known, tifffile.PHOTOMETRIC.RGB)


def _has_alpha(page: tifffile.TiffPage) -> bool:
    kinds = {int(kind) for kind in page.extrasamples}
    return bool(kinds & {1, 2}) and page.samplesperpixel in (2, 4)


def _read_packed_tiff(path: Path, page: tifffile.TiffPage) -> Picture:
    """LZW, JPEG and others that tifffile unpacks only with imagecodecs, and Pillow without it."""
    white = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
    if page.dtype == np.uint8 or (page.samplesperpixel == 1 and not white):
        return _read_pillow(path, None)
    packing = getattr(page.compression, "name", page.compression)  # Pillow would cut it to 8 bits
    raise UnreadableImage(path, f"its compression, {packing}, needs `pip install imagecodecs`")


def _oriented(values: Pixels, orientation: int) -> Pixels:
    """Apply the TIFF/EXIF orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        values = values.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return values


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UnreadableImage(path, f"{width} x {height} is over {MAX_PIXELS} pixels")
    if width * height == 0:
        raise UnreadableImage(path, "it has no pixels")


@contextlib.contextmanager
def _reasons(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises on a bad file into one exception with a short reason."""
    try:
        yield
    except UnreadableImage:
        raise
    except MemoryError:
        raise UnreadableImage(path, "it does not fit in memory") from None
    except OSError as error:
        empty = path.is_file() and path.stat().st_size == 0
        reason = "the file is empty" if empty else error.strerror or "not a whole image"
        raise UnreadableImage(path, reason) from None
    # decoders of hostile files raise nearly anything; each is the same to us: unreadable
    except Exception as error:
        raise UnreadableImage(path, f"not a whole image ({type(error).__name__})") from None


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
        luma = (pixels.astype(np.uint32) @ LUMA + 500) // 1000
        return luma.astype(pixels.dtype)[:, :, None]
    raise UserError(f"an image has {have} channels where {channels} are expected; convert it first")


def with_dtype(pixels: Pixels, dtype: str) -> Pixels:
    """Convert between uint8 and uint16 so that the whole range stays the whole range."""
    if str(pixels.dtype) == dtype:
        return pixels
    if dtype == "uint16":
        return pixels.astype(np.uint16) * 257
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


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
