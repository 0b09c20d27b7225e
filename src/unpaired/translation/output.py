"""Pictures to image files that are either whole or not there."""

from __future__ import annotations

import io
from typing import Literal, get_args

import numpy as np
import PIL.Image
import tifffile

from unpaired.data.decode import Picture
from unpaired.data.ranges import in_units
from unpaired.errors import UserError

Format = Literal["png", "tif", "jpg", "webp", "bmp"]
FORMATS: tuple[Format, ...] = get_args(Format)
PNG_EFFORT = 4  # of 9; photos become as small as with the usual 6, two to three times as fast


class Unwritable(Exception):  # noqa: N818 - the format is at fault
    """The format can't hold the picture."""


def choose_format(picture: Picture, asked: Format | None) -> Format:
    """The format asked for; else PNG where it can hold the picture, TIFF where not.

    As written here, PNG holds 8-bit grey and colour with or without alpha, and 16-bit grey.
    """
    channels, dtype = picture.pixels.shape[2], _stored(picture)
    fits_png = dtype == "uint8" and channels in (1, 3)
    fits_png |= dtype == "uint16" and channels == 1 and picture.alpha is None
    return asked or ("png" if fits_png else "tif")


def _stored(picture: Picture) -> str:
    """The type of what is written."""
    return picture.units.dtype if picture.units else str(picture.pixels.dtype)


def encode(picture: Picture, format: Format) -> bytes:
    """The bytes of an image file: lossless, but for JPEG (quality 95, no chroma subsampling).

    In the picture's units, if it has any. Channels other than grey and colour become the planes of
    an OME-TIFF (axes CYX), as programs for microscopes want them.

    No EXIF and no colour profile: pixels are upright already, and a profile of the source would
    not describe the target domain.

    Raises: Unwritable if the format can't hold the picture (8 bits: JPEG, WebP, BMP; no alpha:
        JPEG, BMP).
    """
    picture = in_units(picture)
    pixels, alpha = picture.pixels, picture.alpha
    stacked = pixels if alpha is None else np.dstack([pixels, alpha])
    buffer = io.BytesIO()
    plain_colour = pixels.shape[2] == 3 and pixels.dtype in (np.uint8, np.uint16)
    if format == "tif" and alpha is None and not plain_colour and pixels.shape[2] > 1:
        planes = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
        about = {"axes": "CYX"}
        tifffile.imwrite(
            buffer, planes, ome=True, photometric="minisblack", compression="zlib", metadata=about
        )
        return buffer.getvalue()
    if format == "tif":
        tifffile.imwrite(
            buffer,
            stacked[:, :, 0] if stacked.shape[2] == 1 else stacked,
            photometric="rgb" if plain_colour else "minisblack",
            planarconfig="contig" if stacked.shape[2] > 1 else None,
            extrasamples=_extra_samples(pixels.shape[2] - 2 * plain_colour, alpha is not None),
            compression="zlib",
            metadata=None,
        )
        return buffer.getvalue()
    channels, deep = stacked.shape[2], stacked.dtype != np.uint8
    odd = stacked.dtype not in (np.uint8, np.uint16)
    if odd or channels > 4 or (deep and (format != "png" or channels > 1)):
        raise Unwritable(f"{format} can't hold {channels} channels of {stacked.dtype}; use tif")
    if format in ("jpg", "bmp") and alpha is not None:
        raise Unwritable(f"{format} can't hold alpha; use png or webp")
    image = PIL.Image.fromarray(
        np.ascontiguousarray(stacked[:, :, 0] if channels == 1 else stacked)
    )
    if format == "jpg":
        image.save(buffer, "JPEG", quality=95, subsampling=0)
    elif format == "webp":
        image.save(buffer, "WEBP", lossless=True)
    elif format == "png":
        image.save(buffer, "PNG", compress_level=PNG_EFFORT)
    else:
        image.save(buffer, format.upper())
    return buffer.getvalue()


def _extra_samples(channels: int, alpha: bool) -> list[str] | None:
    extra = ["unspecified"] * (channels - 1)
    return [*extra, *(["unassalpha"] if alpha else [])] or None


def check_format(format: str | None) -> None:
    """Raises: UserError if there is no such format."""
    if format is not None and format not in FORMATS:
        raise UserError(f'--format is "{format}"; give one of {", ".join(FORMATS)}')
