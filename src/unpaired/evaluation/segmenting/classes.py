"""What label images mean: classes, each with a name and a colour; known sets, or a JSON file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unpaired.data.catalog import worldtiles_index
from unpaired.errors import UserError
from unpaired.evaluation.segmenting.palettes import CAMVID, CITYSCAPES, CITYSCAPES_IGNORED
from unpaired.options import nearest

IGNORED = 255
"""Pixels of this class count neither for nor against anybody."""

Colour = tuple[int, int, int]
Maps = NDArray[np.uint8]  # (N, H, W)
Photos = NDArray[np.uint8]  # (N, H, W, 3)


@dataclass(frozen=True)
class Classes:
    """The classes of a kind of label images, by the index that class maps hold.

    Raises: UserError if there are fewer than 2, more than 254, or two share a colour.
    """

    name: str
    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    ignored: tuple[Colour, ...] = ()
    """Colours of pixels that don't count."""

    def __post_init__(self) -> None:
        both = (*self.colours, *self.ignored)
        if not 2 <= len(self.names) < IGNORED or len(self.names) != len(self.colours):
            raise UserError(f"classes {self.name}: give 2 to 254 classes, each with a colour")
        if len(set(both)) < len(both):
            twice = next(colour for colour in both if both.count(colour) > 1)
            raise UserError(f"classes {self.name}: colour {list(twice)} stands there twice")

    @property
    def key(self) -> str:
        """Another one, as soon as a name or a colour is another."""
        told = json.dumps([self.names, self.colours, self.ignored])
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    @property
    def palette(self) -> NDArray[np.float64]:
        """(K, 3) colours of the classes."""
        return np.array(self.colours, np.float64)


def _worldtiles() -> Classes:
    known = worldtiles_index()["classes"]
    return Classes(
        "worldtiles",
        tuple(one["name"] for one in known),
        tuple(tuple(one["colour"]) for one in known),
    )


CLASSES: dict[str, Classes] = {
    "worldtiles": _worldtiles(),
    "cityscapes": Classes(
        "cityscapes", tuple(CITYSCAPES), tuple(CITYSCAPES.values()), CITYSCAPES_IGNORED
    ),
    "camvid": Classes("camvid", tuple(CAMVID), tuple(CAMVID.values()), ((0, 0, 0),)),
}


def read_classes(source: str) -> Classes:
    """Classes by name, or from a JSON file.

    The file, with colours in RGB:
    {"classes": [{"name": "road", "colour": [128, 64, 128]}, ...], "ignored": [[0, 0, 0]]}.

    Raises: UserError if there is no such name or file, or the file says something else.
    """
    if source in CLASSES:
        return CLASSES[source]
    path = Path(source)
    if not path.is_file():
        raise UserError(
            f'no classes "{source}"{nearest(source, CLASSES)}; give one of '
            f"{', '.join(CLASSES)}, or a JSON file"
        )
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        return Classes(
            path.stem,
            tuple(str(one["name"]) for one in tree["classes"]),
            tuple(_colour(one["colour"]) for one in tree["classes"]),
            tuple(_colour(one) for one in tree.get("ignored", [])),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f'"{path}" does not hold classes; write {{"classes": [{{"name": "road", "colour": '
            '[128, 64, 128]}, ...], "ignored": [[0, 0, 0]]}'
        ) from None


def _colour(values: Sequence[int]) -> Colour:
    red, green, blue = values
    if not all(isinstance(value, int) and 0 <= value <= 255 for value in (red, green, blue)):
        raise ValueError("a colour is three whole numbers from 0 to 255")
    return red, green, blue
