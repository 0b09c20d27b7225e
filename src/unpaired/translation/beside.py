"""Pictures before and after, side by side, and a translator in words: what notebooks show."""

from __future__ import annotations

import io
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

from unpaired.data.decode import Picture
from unpaired.data.showing import as_rgb
from unpaired.data.units import Units
from unpaired.training.card import Card
from unpaired.whole import write_whole

if TYPE_CHECKING:  # it brings torch
    from unpaired.methods.base import Direction

GAP = 4  # pixels between the pictures of a pair; pairs have three times as many
WIDEST = 1200  # pixels of the picture that a notebook shows
SMALLEST = 128  # shorter sides are enlarged to this, by whole factors
LARGEST = 512  # longer sides are shrunk to this
PAPER = (255, 255, 255)


@dataclass(frozen=True)
class Comparison:
    """What went into a translator and what came out: pairs of pictures of one size each.

    A notebook shows `image`; `save` writes it.
    """

    before: tuple[Picture, ...]
    """As they went in: `pixels` (H, W, C), uint8 or uint16, and `alpha` (H, W) if it has one."""
    after: tuple[Picture, ...]
    """Their translations."""
    direction: Direction

    def __post_init__(self) -> None:
        if not self.before:
            raise ValueError("no images to compare; give one or more")

    @property
    def image(self) -> PIL.Image.Image:
        """All pairs as one picture in 8-bit RGB: before on the left, after on the right.

        Small pictures are enlarged by whole factors, so that their pixels can be seen; large ones
        are shrunk. Transparent pixels are on white; of many channels the first three are
        shown.
        """
        pairs = [(_shown(b), _shown(a)) for b, a in zip(self.before, self.after)]
        cells = [(b.width + GAP + a.width, max(b.height, a.height)) for b, a in pairs]
        width, height = max(w for w, _ in cells), max(h for _, h in cells)
        across = max(1, min(len(pairs), (WIDEST + 3 * GAP) // (width + 3 * GAP)))
        down = -(-len(pairs) // across)
        sheet = PIL.Image.new(
            "RGB", (across * (width + 3 * GAP) - 3 * GAP, down * (height + GAP) - GAP), PAPER
        )
        for place, (b, a) in enumerate(pairs):
            left, top = place % across * (width + 3 * GAP), place // across * (height + GAP)
            sheet.paste(b, (left, top))
            sheet.paste(a, (left + b.width + GAP, top))
        return sheet

    def save(self, path: Path | str) -> None:
        """Write `image` as a PNG, whole or not at all. Raises: OSError."""
        write_whole(Path(path), self._repr_png_())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.before)}, {self.direction}>"

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.image.save(content, format="PNG")
        return content.getvalue()


def _shown(picture: Picture) -> PIL.Image.Image:
    """In 8-bit RGB, at a size that can be seen."""
    image = PIL.Image.fromarray(np.ascontiguousarray(as_rgb(picture.on_white())))
    longest = max(image.size)
    if longest > LARGEST:
        width, height = (max(1, round(side * LARGEST / longest)) for side in image.size)
        return image.resize((width, height), PIL.Image.Resampling.LANCZOS)
    factor = max(1, -(-SMALLEST // longest))
    enlarged = (image.width * factor, image.height * factor)
    return image.resize(enlarged, PIL.Image.Resampling.NEAREST)


def description(card: Card, computes: str) -> str:
    """A translator as a small HTML table."""
    channels = f"{_domain(card.channels_x, card.dtype_x, card.units_x)} (X), "
    channels += f"{_domain(card.channels_y, card.dtype_y, card.units_y)} (Y)"
    rows = {
        "method": card.method + (f", preset {card.preset}" if card.preset else ""),
        "trained on": f"{card.data}, {card.size} x {card.size} pixels",
        "training": f"{card.step:,} steps, {card.epoch:.3g} epochs",
        "directions": ", ".join(way.upper().replace("2", " to ") for way in card.directions),
        "channels": channels,
        "computes": computes or "nothing yet",
    }
    cells = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in rows.items()
    )
    return f"<table>{cells}</table>"


def _domain(channels: int, dtype: str, units: Units | None) -> str:
    return f"{channels} x {units or dtype.removeprefix('uint') + ' bits'}"
