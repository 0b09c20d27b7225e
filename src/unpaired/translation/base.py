"""A trained network as a function from images to images, whatever runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from unpaired.data.conversions import from_unit, to_unit, with_channels, with_dtype
from unpaired.data.decode import Picture, Pixels
from unpaired.data.ranges import in_units
from unpaired.data.units import Span
from unpaired.errors import UserError
from unpaired.training.card import Card
from unpaired.translation.beside import Comparison, description
from unpaired.translation.in_memory import as_picture, as_pillow

if TYPE_CHECKING:  # they bring torch
    from unpaired.methods.base import Direction
    from unpaired.translation.network import TorchTranslator

Image = TypeVar("Image", PIL.Image.Image, Pixels)
Backend = Literal["auto", "torch", "openvino", "onnx"]


class BaseTranslator(ABC):
    """Images through a network, in and out: all of a translator but where its run comes from.

    What runs the network is a subclass; `translator.Translator`, which says what all of them do
    and what their attributes are, is the one that programs get.
    """

    computes: str
    source: Path | None = None

    def __init__(self, card: Card, smallest: int | None = None) -> None:
        """Args: smallest: None: as `smallest_side` says."""
        self.card = card
        self.directions: tuple[Direction, ...] = card.directions  # type: ignore[assignment]
        self.smallest = smallest_side(card) if smallest is None else smallest

    @abstractmethod
    def run(self, images: NDArray[np.float32], direction: Direction) -> NDArray[np.float32]:
        """(N, H, W, C) in [-1, 1] -> (N, H, W, C') in [-1, 1]; sides are as the network needs."""

    def open(self, direction: Direction) -> None:  # noqa: B027 - most have nothing to open
        """Make ready to `run`. Raises: UserError if that can't be done."""

    @abstractmethod
    def in_torch(self) -> TorchTranslator:
        """The same in torch, for what needs the network itself: tiles, norms smoothed over time.

        Raises: UserError if there is only an exported file.
        """

    @overload
    def __call__(self, image: PIL.Image.Image, direction: str | None = None) -> PIL.Image.Image: ...
    @overload
    def __call__(self, image: Pixels, direction: str | None = None) -> Pixels: ...
    @overload
    def __call__(self, image: Sequence[Image], direction: str | None = None) -> list[Image]: ...

    def __call__(self, image: Any, direction: str | None = None) -> Any:
        """Translate one image or a sequence of them; you get what you gave.

        A Pillow image gives a Pillow image, upright, with its alpha. An array (H, W, C) of uint8 or
        uint16 gives an array of the target domain's channels and type; if the run was given a range
        (`card.units_x`, `card.units_y`), arrays are of any type, in its units. Grey and colour are
        converted as the source domain needs them. Images that are padded to one size go through the
        network together: a sequence is one batch per size, so keep it as short as memory asks.

        Args: direction: "x2y" or "y2x"; None: the first that the run has.
        Raises: UserError for a direction the run lacks, or channels that can't be converted.
        """
        if alone := isinstance(image, (PIL.Image.Image, np.ndarray)):
            image = [image]
        images = list(image)
        span = self.span(direction)
        made = self.pictures([as_picture(one, span) for one in images], direction)
        results = [
            as_pillow(picture) if isinstance(one, PIL.Image.Image) else picture.pixels
            for one, picture in zip(images, map(in_units, made))
        ]
        return results[0] if alone else results

    def compare(
        self,
        images: PIL.Image.Image | Pixels | Sequence[PIL.Image.Image | Pixels],
        direction: str | None = None,
    ) -> Comparison:
        """Translate, and show what went in beside what came out.

        Args: images: one image or several, as `__call__` takes them; direction: likewise.
        Returns: the pictures before and after; a notebook shows it as one picture.
        Raises: UserError as `__call__`; ValueError if there are no images.
        """
        several = [images] if isinstance(images, (PIL.Image.Image, np.ndarray)) else images
        way = self.direction(direction)
        before = [as_picture(one, self.span(way)) for one in several]
        return Comparison(tuple(before), tuple(self.pictures(before, way)), way)

    def __repr__(self) -> str:
        ways = ", ".join(self.directions)
        return f"<{type(self).__name__}: {self.card.method}, step {self.card.step}, {ways}>"

    def _repr_html_(self) -> str:
        """What it is, for a notebook."""
        return description(self.card, self.computes)

    def pictures(self, pictures: Sequence[Picture], direction: str | None = None) -> list[Picture]:
        """Translate pictures of any sizes, those that are padded to one size together.

        Where the source has a range, pictures are in levels, as `read_picture` with `span` gives
        them; so are the results, which know their units. Alpha is carried over as it is. The
        network sees transparent pixels on white, as it did in training, so that colours hidden
        beneath them don't matter.

        Raises: UserError as `__call__`, and where what the network gives is not finite.
        """
        way = self.direction(direction)
        channels = self.card.channels_x if way == "x2y" else self.card.channels_y
        dtype = self.card.dtype_y if way == "x2y" else self.card.dtype_x
        _, units = self.card.units(way)
        by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, picture in enumerate(pictures):
            by_size[self.padded(*picture.pixels.shape[:2])].append(i)
        made: list[Picture | None] = [None] * len(pictures)
        for size, places in by_size.items():
            batch = np.stack([self._input(pictures[i], channels, size) for i in places])
            for i, unit in zip(places, self.run(batch, way)):
                height, width = pictures[i].pixels.shape[:2]
                alpha = pictures[i].alpha
                alpha = None if alpha is None else with_dtype(alpha, dtype)
                made[i] = Picture(from_unit(finite(unit[:height, :width]), dtype), alpha, units)
        return [picture for picture in made if picture is not None]

    def direction(self, requested: str | None) -> Direction:
        """The direction meant: the first that the run has, if none is given.

        Raises: UserError if the run cannot translate that way.
        """
        return chosen(self.card, requested)

    def span(self, direction: str | None = None) -> Span | None:
        """The values of the source that stand for -1 and 1; None: the range of its type."""
        units, _ = self.card.units(self.direction(direction))
        return units.span if units else None

    def units(self, images: NDArray[np.float32], direction: Direction) -> NDArray[np.float32]:
        """(N, H, W, C) in [-1, 1] -> (N, H, W, C') in [-1, 1], any H and W; one call."""
        height, width = images.shape[1:3]
        padded = _reflected(images, self.padded(height, width))
        return self.run(padded, direction)[:, :height, :width]

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) that the network is given for a picture of this size."""
        high, wide = (padding(side, self.card.multiple, self.smallest) for side in (height, width))
        return height + high, width + wide

    def _input(self, picture: Picture, channels: int, size: tuple[int, int]) -> NDArray[np.float32]:
        """What the network is given of a picture: (H, W, C) in [-1, 1], H and W as in `size`."""
        unit = to_unit(with_channels(picture.on_white(), channels))
        return _reflected(unit[None], size)[0]


def _reflected(images: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(N, h, w, C) -> (N, H, W, C), mirrored at the right and lower edge."""
    pad = [(0, want - have) for want, have in zip(size, images.shape[1:3])]
    return np.pad(images, ((0, 0), *pad, (0, 0)), mode="reflect")


def chosen(card: Card, requested: str | None) -> Direction:
    """The direction meant: the card's first, if none is given. Raises: UserError if it lacks it."""
    for direction in card.directions:
        if requested in (None, direction):
            return direction  # type: ignore[return-value]
    why = ""
    if card.method == "imported":
        why = ": the file that it was imported from holds one way only; give the other way's file"
    raise UserError(
        f'--direction is "{requested}"; this run translates {" and ".join(card.directions)}{why}'
    )


def smallest_side(card: Card) -> int:
    """Innermost layers need two pixels to reflect; the training size is sure to work."""
    return min(card.size, max(16, 2 * card.multiple))


def padding(side: int, multiple: int, smallest: int) -> int:
    """Pixels to add so that a side is a multiple of `multiple` and at least `smallest`."""
    return -(-max(side, smallest) // multiple) * multiple - side


def finite(unit: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a network gave, as it is. Raises: UserError if it can't be a picture."""
    if not np.isfinite(unit).all():
        raise UserError(
            "the network gives numbers that are not finite; try --precision fp32, or another "
            "--checkpoint"
        )
    return unit
