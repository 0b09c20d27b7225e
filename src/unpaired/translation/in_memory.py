"""Images that a program holds, Pillow's or arrays, to pictures and back."""

from __future__ import annotations

import numpy as np
import PIL.Image

from unpaired.data.decode import Picture
from unpaired.data.pillow import picture_of
from unpaired.data.ranges import NotFiniteError, in_levels
from unpaired.data.units import PLAIN, TYPES, Span
from unpaired.errors import UserError


def as_picture(image: object, span: Span | None) -> Picture:
    """What the network is to see of an image in memory, and its alpha.

    Args:
        image: a Pillow image, or an array (H, W, C) of uint8 or uint16.
        span: the values that stand for -1 and 1; arrays may then be of any type of TYPES.
    Raises: TypeError if it is neither; UserError if it holds values that are not finite.
    """
    if isinstance(image, np.ndarray):
        known = PLAIN if span is None else TYPES
        if str(image.dtype) not in known or image.ndim != 3 or 0 in image.shape:
            raise TypeError(
                f"give (H, W, C) arrays of {' or '.join(known)}, not {image.shape} {image.dtype}"
            )
        picture = Picture(image)
    elif isinstance(image, PIL.Image.Image):
        picture = picture_of(image, any_type=span is not None)
    else:
        raise TypeError("give a Pillow image, a (H, W, C) array, or a sequence of these")
    try:
        return picture if span is None else in_levels(picture, span)
    except NotFiniteError as error:
        raise UserError(f"the image can't be translated: {error}") from None


def as_pillow(picture: Picture) -> PIL.Image.Image:
    """8 bits: L, LA, RGB or RGBA; others: grey only, as Pillow has nothing else.

    Raises: UserError if Pillow has no such images.
    """
    pixels = picture.pixels
    if picture.alpha is not None:
        pixels = np.dstack([pixels, picture.alpha])
    channels = pixels.shape[2]
    if pixels.dtype not in (np.uint8, np.uint16):  # it knows 32 bits with sign, and single floats
        wide = np.float32 if pixels.dtype.kind == "f" else np.int32
        if np.can_cast(pixels.dtype, wide, "same_kind" if wide is np.float32 else "safe"):
            pixels = pixels.astype(wide)
    if channels > 4 or (pixels.dtype != np.uint8 and channels > 1) or pixels.dtype == np.uint32:
        raise UserError(
            f"Pillow has no images of {channels} channels in {pixels.dtype}; pass a numpy array"
        )
    return PIL.Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if channels == 1 else pixels))
