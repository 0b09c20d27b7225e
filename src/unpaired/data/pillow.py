"""What Pillow reads: all files but most TIFFs; its oddities mended, its images made pictures."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import simplejpeg
from PIL import (
    ExifTags,
    Image,
    ImageChops,
    ImageFile,
    ImageOps,
    TiffImagePlugin,
    WebPImagePlugin,
)

from unpaired.data.picture import Picture, Pixels, UnreadableImage, check_size, oriented
from unpaired.data.png import deep_colour, read_deep
from unpaired.data.wholeness import CHECKS, Damaged, first_gif

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
"""Pillow's names. Of the others some start programs, and none is expected under these suffixes."""
JPEGS = ("JPEG", "MPO")  # the second is what phones write: a JPEG with more behind it

Image.MAX_IMAGE_PIXELS = None  # `check_size` has our own limit, and a message that names the file
ImageFile.LOAD_TRUNCATED_IMAGES = False
assert TiffImagePlugin, WebPImagePlugin  # loaded here, not by several threads at once
# of oddities in files that can be read; once for all, as changing filters while others decode or
# train in their threads would leave everybody's filters mixed
warnings.filterwarnings("ignore", module=r"PIL\.")
for library in ("tifffile", "PIL"):
    logging.getLogger(library).setLevel(logging.CRITICAL)


def read_pillow(path: Path, content: BinaryIO, at_least: int | None, *, any_type: bool) -> Picture:
    """As `decode.read_stored`, of an open file. Raises: UnreadableImage, and what Pillow raises."""
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


def probe_pillow(path: Path, content: BinaryIO, *, any_type: bool) -> tuple[int, str]:
    """As `decode.probe`, of an open file. Raises: UnreadableImage, and what Pillow raises."""
    with Image.open(content, formats=FORMATS) as image:
        check_size(path, *image.size)
        if image.format == "PNG" and (rawmode := deep_colour(image)):
            return 1 if rawmode == "LA;16B" else 3, "uint16"
        if image.mode == "F" and not any_type:
            raise UnreadableImage(path, "float32 pixels have no known range")
        grey = image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")
        deep = "uint16" if image.mode.startswith("I") else "uint8"
        return 1 if grey else 3, "float32" if image.mode == "F" else deep


def measure_pillow(content: BinaryIO) -> tuple[int, int]:
    """As `decode.measure`, of an open file. Raises: what Pillow raises."""
    with Image.open(content, formats=FORMATS) as image:
        return image.size
