"""From a decoded picture to the square that a network is trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image

from unpaired.data.decode import Pixels
from unpaired.data.units import Span, is_span
from unpaired.errors import UserError

Mode = Literal["resize-crop", "crop", "scale-width", "none"]
Interpolation = Literal["bicubic", "nearest"]
DomainName = Literal["x", "y"]


@dataclass(frozen=True)
class ImageConfig:
    """How pictures become training crops; fields ending in `_y` override for domain Y.

    Pictures smaller than the crop are enlarged until their shorter side fits, whatever the mode.
    """

    mode: Mode = "resize-crop"
    """resize-crop: to load x load, ignoring the aspect, then a random crop (the paper's jitter);
    crop: a random crop at the picture's own scale; scale-width: width to `load` with the aspect
    kept, then a random crop; none: used as it is, and must have the right size."""
    load: int | None = None
    """Side to resize to before the crop; None: size * 286 / 256, as in the paper."""
    interpolation: Interpolation = "bicubic"
    """nearest keeps the colours of label maps unmixed."""
    flip: bool = True
    """Mirror half of the pictures."""
    rotate: bool = False
    """Quarter turns and flips both ways, for pictures seen from above."""
    oversize: float = 1.75
    """JPEGs are decoded at a half, a quarter or an eighth if that leaves so many times `load`
    (resize-crop); how far off that is stands in docs/data.md. Not below 1."""
    range: Span | None = None
    """Two values of the files that stand for -1 and 1; what lies beyond is clipped. Then files may
    be 8 to 32 bits with or without sign, or floats (TIFF). None: 0 to the largest of 8 or 16
    bits."""
    mode_y: Mode | None = None
    load_y: int | None = None
    interpolation_y: Interpolation | None = None
    flip_y: bool | None = None
    rotate_y: bool | None = None
    range_y: Span | None = None
    """Without it `range` counts for Y too; 0 255 is all of 8 bits."""

    def __post_init__(self) -> None:
        for name in ("load", "load_y"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(
                    f"--images.{name.replace('_', '-')} is {value}; give 1 pixel or more"
                )
        for name in ("range", "range_y"):
            span = getattr(self, name)
            if span is not None and not is_span(span):
                raise UserError(
                    f"--images.{name.replace('_', '-')} is {span[0]:g} {span[1]:g}; give two "
                    "finite numbers, the lower one first"
                )
        if not 1 <= self.oversize < math.inf:
            raise UserError(f"--images.oversize is {self.oversize}; give 1 or more, for example 2")

    def of(self, domain: DomainName) -> ImageConfig:
        """The settings of one domain, without overrides."""
        if domain == "x":
            return ImageConfig(
                self.mode,
                self.load,
                self.interpolation,
                self.flip,
                self.rotate,
                self.oversize,
                self.range,
            )
        return ImageConfig(
            self.mode if self.mode_y is None else self.mode_y,
            self.load if self.load_y is None else self.load_y,
            self.interpolation if self.interpolation_y is None else self.interpolation_y,
            self.flip if self.flip_y is None else self.flip_y,
            self.rotate if self.rotate_y is None else self.rotate_y,
            self.oversize,
            self.range if self.range_y is None else self.range_y,
        )

    def load_size(self, size: int) -> int:
        """Side to resize to for crops of `size`; at least `size`."""
        return max(size, self.load if self.load is not None else round(size * 286 / 256))


def resized(pixels: Pixels, config: ImageConfig, size: int) -> Pixels:
    """The part of preparation without chance: what a cache may keep.

    Args:
        pixels: (H, W, C) uint8 or uint16; config: of one domain (`ImageConfig.of`).
    Returns: (h, w, C) with h, w >= size; exactly (size, size, C) for mode "none".
    Raises: ValueError in mode "none" if the picture has another size.
    """
    height, width = pixels.shape[:2]
    load = config.load_size(size)
    if config.mode == "none":
        if (height, width) != (size, size):
            raise ValueError(
                f"{width} x {height} pixels, but --images.mode none needs {size} x {size}"
            )
        return pixels
    if config.mode == "resize-crop":
        height, width = load, load
    elif config.mode == "scale-width":
        height, width = max(1, round(height * load / width)), load
    if min(height, width) < size:
        scale = size / min(height, width)
        height, width = max(size, round(height * scale)), max(size, round(width * scale))
    return resize(pixels, height, width, config.interpolation)


def prepare(pixels: Pixels, config: ImageConfig, size: int, rng: np.random.Generator) -> Pixels:
    """A random crop, flipped and turned, of a `resized` picture: (size, size, C)."""
    height, width = pixels.shape[:2]
    top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
    crop = pixels[top : top + size, left : left + size]
    if config.flip and rng.random() < 0.5:
        crop = crop[:, ::-1]
    if config.rotate:
        crop = np.rot90(crop, int(rng.integers(4)))
    return crop


def prepare_fixed(pixels: Pixels, config: ImageConfig, size: int) -> Pixels:
    """The same without chance, for samples and scores: resized to fit, the middle cropped."""
    return middle(resized(pixels, without_jitter(config, size), size), size)


def without_jitter(config: ImageConfig, size: int) -> ImageConfig:
    """The settings under which `resized` leaves nothing to crop, if the mode allows that."""
    return replace(config, load=size) if config.mode == "resize-crop" else config


def middle(pixels: Pixels, size: int) -> Pixels:
    """The middle of a picture of at least `size` x `size`: (size, size, C)."""
    top, left = (pixels.shape[0] - size) // 2, (pixels.shape[1] - size) // 2
    return pixels[top : top + size, left : left + size]


def need_one_geometry(images: ImageConfig) -> None:
    """Refuse settings under which the two pictures of a pair would not be cropped alike.

    Raises: UserError that names the option.
    """
    x, y = images.of("x"), images.of("y")
    for name in ("mode", "load", "flip", "rotate"):
        if getattr(x, name) != getattr(y, name):
            raise UserError(
                f"--images.{name}-y differs from --images.{name}, but the two pictures of a pair "
                "are resized, cropped, mirrored and turned alike; drop it"
            )


def resize(pixels: Pixels, height: int, width: int, interpolation: Interpolation) -> Pixels:
    """Resize (H, W, C) of uint8 or uint16, channel by channel, antialiased when shrinking."""
    if pixels.shape[:2] == (height, width):
        return pixels
    method = Image.Resampling.NEAREST if interpolation == "nearest" else Image.Resampling.BICUBIC
    if pixels.dtype == np.uint8 and pixels.shape[2] == 3:
        return np.asarray(Image.fromarray(pixels).resize((width, height), method))
    planes = []
    for channel in np.moveaxis(pixels, 2, 0):
        plane = Image.fromarray(channel.astype(np.float32)).resize((width, height), method)
        planes.append(np.asarray(plane))
    top = np.iinfo(pixels.dtype).max
    return np.clip(np.rint(np.stack(planes, axis=2)), 0, top).astype(pixels.dtype)
