"""When a picture is translated in pieces, and files that are never held as a whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import tifffile

from unpaired.data.decode import MAX_PIXELS, Picture, UnreadableImage, as_unreadable, measure
from unpaired.data.opening import opened
from unpaired.errors import UserError
from unpaired.shortage import give_back, is_shortage
from unpaired.telling import note
from unpaired.translation.base import BaseTranslator
from unpaired.translation.tiling.sinks import write_tiff
from unpaired.translation.tiling.sources import Held, Source, open_source, plain

Made = TypeVar("Made")
Tiles = Literal["auto", "exact", "fast", "off"]
WHOLE = 1 << 22
"""Pixels up to which "auto" takes one pass over the whole picture: 2048 x 2048."""
STREAMED = 1 << 26
"""Pixels beyond which a file is read, translated and written in pieces: 8192 x 8192."""
RUNGS: tuple[tuple[float | None, float], ...] = ((None, 4e7), (0, 1e7), (0, 2.5e6))
"""Bytes of feature maps to hold (None: a quarter of what is free; the rest lies in files), and to
work on at a time: from one to the next whenever memory runs short."""


class Tiler:
    """Translates pictures of any size in one direction.

    Args:
        tiles: "auto" takes exact tiling for pictures over WHOLE pixels, if the network allows it.
        on_error: called with what "fast" estimates its mean error to be, in grey levels of 255.
        on_sweep: called after each sweep over a picture.
    Raises: UserError if the network can't be run in pieces and `tiles` asks for it.

    Where memory runs short, fewer pictures go through the network at a time; then a single one goes
    in pieces, exactly; then in smaller pieces. What was too much once is not tried again.
    """

    def __init__(
        self,
        translator: BaseTranslator,
        direction: str | None,
        tiles: Tiles = "auto",
        *,
        on_error: Callable[[float], None] | None = None,
        on_sweep: Callable[[int], None] | None = None,
    ) -> None:
        self.translator, self.way = translator, translator.direction(direction)
        self.on_error, self.on_sweep = on_error, on_sweep
        self.span = translator.span(self.way)
        """As `read_picture` wants it for what is translated here."""
        self.tiles = tiles
        self.whole = WHOLE if tiles == "auto" else 0 if tiles in ("exact", "fast") else math.inf
        """Pixels up to which a picture goes through the network as a whole."""
        self.together = math.inf
        """Pixels of all pictures that go through it together."""
        self.rung = 0
        if tiles in ("exact", "fast"):
            self._network()

    def pictures(self, pictures: Sequence[Picture]) -> list[Picture]:
        """As `Translator.pictures`, for pictures of one size.

        Raises: MemoryError, or what torch raises instead, if it is short for a single one.
        """
        height, width = pictures[0].pixels.shape[:2]
        if height * width > self.whole:
            if self._tileable():
                return [_joined(self.in_pieces(Held(picture), list)) for picture in pictures]
            return self.translator.in_torch().pictures(pictures, self.way)
        most = max(1, int(min(self.together / (height * width), len(pictures))))
        if most < len(pictures):
            groups = [pictures[i : i + most] for i in range(0, len(pictures), most)]
            return [made for group in groups for made in self.pictures(group)]
        try:
            return self.translator.pictures(pictures, self.way)
        except (RuntimeError, MemoryError) as error:
            if not is_shortage(error) or not self._smaller(len(pictures), height, width):
                raise
        give_back()  # here: what the error held is gone
        return self.pictures(pictures)

    def _smaller(self, count: int, height: int, width: int) -> bool:
        """Memory was short for so many pictures; False: there is no smaller way."""
        size = f"{width} x {height} pixels"
        if count > 1:
            most = count // 2
            self.together = most * height * width
            note(f"not enough memory for {count} pictures of {size} at once; {most} at once now")
        elif self.tiles == "auto" and self._tileable():
            self.whole = height * width - 1
            note(f"not enough memory for {size} as a whole; translated in pieces, exactly")
        else:
            return False
        return True

    def in_pieces(self, source: Source, use: Callable[[Iterator[Picture]], Made]) -> Made:
        """What `use` makes of the translation's pieces, from its first row to its last.

        Args: use: called again, with smaller pieces, if memory runs short.
        Raises: as `use`, and as `pictures`.
        """
        while True:  # at most once for every rung
            try:
                return use(self._pieces(source))
            except (RuntimeError, MemoryError) as error:
                last = self.tiles == "fast" or self.rung == len(RUNGS) - 1
                if last or not is_shortage(error):
                    raise
            give_back()
            self.rung += 1
            note(f"not enough memory for pieces of {source.width} pixels across; smaller ones now")

    def _pieces(self, source: Source) -> Iterator[Picture]:
        from unpaired.translation.tiling.large import exactly, fast

        translator = self.translator.in_torch()
        if self.tiles == "fast":
            return fast(translator, source, self.way, on_error=self.on_error)
        memory, strip = RUNGS[self.rung]
        return exactly(
            translator, source, self.way, memory=memory, strip=strip, on_sweep=self.on_sweep
        )

    def open(self, paths: Iterable[Path]) -> None:
        """Open what translates whole pictures, if there is one. Raises: UserError if it can't."""
        whole = self.tiles == "off" or (
            self.tiles == "auto" and any(_pixels(path) <= WHOLE for path in paths)
        )
        if whole:
            self.translator.open(self.way)

    def streams(self, path: Path) -> bool:
        """Whether the file is so large that it is translated by `stream`."""
        return self.tiles != "off" and _pixels(path) > STREAMED and self._tileable()

    def _network(self) -> None:
        """Raises: UserError if the network can't be run in pieces."""
        from unpaired.translation.tiling.large import network_of

        network_of(self.translator.in_torch().method, self.way)

    def _tileable(self) -> bool:
        """Whether "auto" can tile."""
        try:
            self._network()
        except UserError:
            return False
        return True

    def stream(self, path: Path, place: Path) -> None:
        """From a file to a tiled TIFF, neither of them ever held.

        Raises: UnreadableImage, UserError, OSError.
        """
        source = open_source(path, self.span)
        self.in_pieces(source, lambda p: write_tiff(place, p, source.height, source.width))


def _pixels(path: Path) -> int:
    """By the header; 0 if it can't be read, or must be decoded whole and is too large for that."""
    try:
        if path.suffix.lower() in (".tif", ".tiff", ".btf"):
            with as_unreadable(path), opened(path) as file, tifffile.TiffFile(file) as tiff:
                page = tiff.pages[0]
                if isinstance(page, tifffile.TiffPage) and plain(page, any_type=True):
                    return int(page.imagelength * page.imagewidth)
        width, height = measure(path)
    except UnreadableImage:  # whoever decodes it says why
        return 0
    return width * height if width * height <= MAX_PIXELS else 0


def _joined(pieces: list[Picture]) -> Picture:
    pixels = np.concatenate([piece.pixels for piece in pieces])
    alpha = None
    if pieces[0].alpha is not None:
        alpha = np.concatenate([p.alpha for p in pieces if p.alpha is not None])
    return Picture(pixels, alpha, pieces[0].units)
