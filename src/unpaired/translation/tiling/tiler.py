"""When a picture is translated in pieces, and files that are never held as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile

from unpaired.data.decode import MAX_PIXELS, Picture, measure
from unpaired.data.opening import opened
from unpaired.errors import UserError
from unpaired.translation.tiling.sinks import write_tiff
from unpaired.translation.tiling.sources import Held, Source, open_source, plain
from unpaired.translation.translator import Translator

Tiles = Literal["auto", "exact", "fast", "off"]
WHOLE = 1 << 22
"""Pixels up to which "auto" takes one pass over the whole picture: 2048 x 2048."""
STREAMED = 1 << 26
"""Pixels beyond which a file is read, translated and written in pieces: 8192 x 8192."""


class Tiler:
    """Translates pictures of any size in one direction.

    Args:
        tiles: "auto" takes exact tiling for pictures over WHOLE pixels, if the network allows it.
        on_error: called with what "fast" estimates its mean error to be, in grey levels of 255.
        on_sweep: called after each sweep over a picture.
    Raises: UserError if the network can't be run in pieces and `tiles` asks for it.
    """

    def __init__(
        self,
        translator: Translator,
        direction: str | None,
        tiles: Tiles = "auto",
        *,
        on_error: Callable[[float], None] | None = None,
        on_sweep: Callable[[int], None] | None = None,
    ) -> None:
        self.translator, self.way = translator, translator.direction(direction)
        self.on_error, self.on_sweep = on_error, on_sweep
        self.tiles = tiles
        if tiles in ("exact", "fast"):
            self._network()

    def pictures(self, pictures: Sequence[Picture]) -> list[Picture]:
        """As `Translator.pictures`, for pictures of one size."""
        height, width = pictures[0].pixels.shape[:2]
        if self.tiles == "off" or (self.tiles == "auto" and height * width <= WHOLE):
            return self.translator.pictures(pictures, self.way)
        if not self._tileable():
            return self.translator.in_torch().pictures(pictures, self.way)
        return [_joined(list(self.pieces(Held(picture)))) for picture in pictures]

    def pieces(self, source: Source) -> Iterator[Picture]:
        """The translation from its first row to its last."""
        from unpaired.translation.tiling.large import exactly, fast

        translator = self.translator.in_torch()
        if self.tiles == "fast":
            return fast(translator, source, self.way, on_error=self.on_error)
        return exactly(translator, source, self.way, on_sweep=self.on_sweep)

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
        source = open_source(path)
        write_tiff(place, self.pieces(source), source.height, source.width)


def _pixels(path: Path) -> int:
    """By the header; 0 if it can't be read, or must be decoded whole and is too large for that."""
    try:
        if path.suffix.lower() in (".tif", ".tiff", ".btf"):
            with opened(path) as file, tifffile.TiffFile(file) as tiff:
                page = tiff.pages[0]
                if isinstance(page, tifffile.TiffPage) and plain(page):
                    return int(page.imagelength * page.imagewidth)
        width, height = measure(path)
    except Exception:  # whoever decodes it says why
        return 0
    return width * height if width * height <= MAX_PIXELS else 0


def _joined(pieces: list[Picture]) -> Picture:
    pixels = np.concatenate([piece.pixels for piece in pieces])
    if pieces[0].alpha is None:
        return Picture(pixels)
    return Picture(pixels, np.concatenate([p.alpha for p in pieces if p.alpha is not None]))
