"""A trained run as a function from images to images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, cast, overload

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray

from unpaired.data.decode import (
    Picture,
    Pixels,
    from_unit,
    picture_of,
    to_unit,
    with_channels,
    with_dtype,
)
from unpaired.errors import UserError
from unpaired.methods import Method
from unpaired.methods.base import Direction
from unpaired.training.card import Card
from unpaired.training.checkpoint import load_method
from unpaired.training.finding import find_checkpoint
from unpaired.training.precision import Precision, autocast, choose_device, choose_precision

Image = TypeVar("Image", PIL.Image.Image, Pixels)


class Translator:
    """Translates images of any size between the two domains of a run.

    An image is padded by reflection, at its right and lower edge, to the multiple of pixels that
    the network needs, and the result is cropped back: what goes in and what comes out have one
    size. Images are never resized.

    Attributes:
        card: what the checkpoint says of itself.
        directions: the ways it can translate, the first being the default.
    """

    def __init__(self, method: Method, card: Card, device: torch.device, precision: Precision):
        """Args: method: in evaluation mode, with the weights that are to translate."""
        self.card = card
        self.directions: tuple[Direction, ...] = cast(Any, card.directions)
        self.device = device
        self.dtype = choose_precision(precision, device)
        # what convolutions compute in fastest; our norms keep it
        self.method = method.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        # innermost layers need two pixels to reflect; the training size is sure to work
        self.smallest = min(card.size, max(16, 2 * method.multiple))

    @classmethod
    def load(
        cls,
        source: Path | str,
        *,
        checkpoint: str = "latest",
        device: str = "auto",
        precision: Precision = "auto",
    ) -> Translator:
        """From a run folder or a checkpoint folder.

        Args:
            checkpoint: "latest", "best" or a step number.
            precision: "auto" computes in bfloat16 where the device does that well.
        Raises: UserError if there is no run or checkpoint, or it is damaged.
        """
        where = choose_device(device)
        method, card = load_method(find_checkpoint(Path(source), checkpoint))
        return cls(method, card, where, precision)

    @overload
    def __call__(self, image: PIL.Image.Image, direction: str | None = None) -> PIL.Image.Image: ...
    @overload
    def __call__(self, image: Pixels, direction: str | None = None) -> Pixels: ...
    @overload
    def __call__(self, image: Sequence[Image], direction: str | None = None) -> list[Image]: ...

    def __call__(self, image: Any, direction: str | None = None) -> Any:
        """Translate one image or a sequence of them; you get what you gave.

        A Pillow image gives a Pillow image, upright, with its alpha. An array (H, W, C) of uint8 or
        uint16 gives an array of the target domain's channels and type. Grey and colour are
        converted as the source domain needs them. Images of one size go through the network
        together: a sequence is one batch per size, so keep it as short as memory asks.

        Args: direction: "x2y" or "y2x"; None: the first that the run has.
        Raises: UserError for a direction the run lacks, or channels that can't be converted.
        """
        if alone := isinstance(image, (PIL.Image.Image, np.ndarray)):
            image = [image]
        images = list(image)
        made = self.pictures([_picture(one) for one in images], direction)
        results = [
            _to_pillow(picture) if isinstance(one, PIL.Image.Image) else picture.pixels
            for one, picture in zip(images, made)
        ]
        return results[0] if alone else results

    def pictures(self, pictures: Sequence[Picture], direction: str | None = None) -> list[Picture]:
        """Translate pictures of any sizes, those of one size together.

        Alpha is carried over as it is. The network sees transparent pixels on white, as it did in
        training, so that colours hidden beneath them don't matter.
        """
        way = self.direction(direction)
        channels = self.card.channels_x if way == "x2y" else self.card.channels_y
        dtype = self.card.dtype_y if way == "x2y" else self.card.dtype_x
        by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, picture in enumerate(pictures):
            height, width = picture.pixels.shape[:2]
            by_size[height, width].append(i)
        made: list[Picture | None] = [None] * len(pictures)
        for places in by_size.values():
            batch = np.stack(
                [to_unit(with_channels(pictures[i].on_white(), channels)) for i in places]
            )
            for i, unit in zip(places, self.units(batch, way)):
                alpha = pictures[i].alpha
                alpha = None if alpha is None else with_dtype(alpha, dtype)
                made[i] = Picture(from_unit(unit, dtype), alpha)
        return [picture for picture in made if picture is not None]

    def direction(self, requested: str | None) -> Direction:
        """The direction meant: the first that the run has, if none is given.

        Raises: UserError if the run cannot translate that way.
        """
        if requested is None:
            return self.directions[0]
        if requested not in self.directions:
            raise UserError(
                f'--direction is "{requested}"; this run translates {" and ".join(self.directions)}'
            )
        return requested

    @torch.inference_mode()
    def units(self, images: NDArray[np.float32], direction: Direction) -> NDArray[np.float32]:
        """(N, H, W, C) in [-1, 1] -> (N, H, W, C') in [-1, 1], any H and W; one call."""
        height, width = images.shape[1:3]
        pad = [(0, padding(side, self.method.multiple, self.smallest)) for side in (height, width)]
        padded = np.pad(images, ((0, 0), *pad, (0, 0)), mode="reflect")
        tensor = torch.from_numpy(padded).to(self.device).permute(0, 3, 1, 2)  # channels-last
        with autocast(self.device, self.dtype):
            translated = self.method.translate(tensor, direction)
        cropped = translated[:, :, :height, :width].float().permute(0, 2, 3, 1)
        result: NDArray[np.float32] = cropped.contiguous().cpu().numpy()
        return result


def padding(side: int, multiple: int, smallest: int) -> int:
    """Pixels to add so that a side is a multiple of `multiple` and at least `smallest`."""
    return -(-max(side, smallest) // multiple) * multiple - side


def _picture(image: object) -> Picture:
    """What the network is to see of an image in memory, and its alpha."""
    if isinstance(image, np.ndarray):
        if image.dtype not in (np.uint8, np.uint16) or image.ndim != 3 or 0 in image.shape:
            raise TypeError(
                f"give (H, W, C) arrays of uint8 or uint16, not {image.shape} {image.dtype}"
            )
        return Picture(image)
    if not isinstance(image, PIL.Image.Image):
        raise TypeError("give a Pillow image, a (H, W, C) array, or a sequence of these")
    return picture_of(image)


def _to_pillow(picture: Picture) -> PIL.Image.Image:
    """8 bits: L, LA, RGB or RGBA; 16 bits: grey only, as Pillow has nothing else."""
    pixels = picture.pixels
    if picture.alpha is not None:
        pixels = np.dstack([pixels, picture.alpha])
    channels = pixels.shape[2]
    if channels > 4 or (pixels.dtype == np.uint16 and channels > 1):
        raise UserError(
            f"Pillow has no images of {channels} channels in {pixels.dtype}; pass a numpy array"
        )
    return PIL.Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if channels == 1 else pixels))
