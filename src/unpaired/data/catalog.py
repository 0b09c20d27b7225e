"""The data sets that have a name: `--data worldtiles:map-aerial`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unpaired.errors import UserError

Pictures = NDArray[np.uint8]  # (N, H, W, 3)

VIEWS = ("aerial", "map", "labels", "terrain")


@dataclass(frozen=True)
class NamedSet:
    """Two domains in memory; the test pictures are pairs, which no unpaired method is shown.

    The training pictures are pairs if that was asked for.
    """

    train_x: Pictures
    train_y: Pictures
    test_x: Pictures
    test_y: Pictures
    names: dict[str, tuple[str, ...]]  # of "train_x", "train_y", "test": one per picture


def worldtiles(pair: str, paired: bool = False) -> NamedSet:
    """Two views of the Earth as 64 x 64 tiles; the data card is worldtiles/README.md.

    Args:
        pair: an ordered pair of `VIEWS`, such as "map-aerial".
        paired: show the places of X in both views, instead of other places in Y.
    Raises: UserError if it isn't one.
    """
    pairs = [f"{x}-{y}" for x, y in permutations(VIEWS, 2)]
    if pair not in pairs:
        raise UserError(f'worldtiles has no pair of views "{pair}"; choose from {", ".join(pairs)}')
    x, y = pair.split("-")
    places = {"train_x": "train_x", "train_y": "train_x" if paired else "train_y", "test": "test"}
    index = worldtiles_index()["splits"]
    return NamedSet(
        train_x=worldtiles_view(x, places["train_x"]),
        train_y=worldtiles_view(y, places["train_y"]),
        test_x=worldtiles_view(x, places["test"]),
        test_y=worldtiles_view(y, places["test"]),
        names={split: tuple(place["name"] for place in index[at]) for split, at in places.items()},
    )


@lru_cache(maxsize=1)
def worldtiles_index() -> dict[str, Any]:
    """The sheets' layout, the classes and their colours, and where on the globe each tile lies."""
    folder = resources.files("unpaired.data") / "worldtiles"
    index: dict[str, Any] = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    return index


def worldtiles_view(view: str, split: str) -> Pictures:
    """The tiles of one view in one split ("train_x", "train_y", "test"), cut from their sheet."""
    index = worldtiles_index()
    side, across, count = index["tile"], index["columns"], index["counts"][split]
    sheet = resources.files("unpaired.data") / "worldtiles" / f"{view}_{split}.webp"
    with sheet.open("rb") as file, Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB"))
    tiles = pixels.reshape(-1, side, across, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    return np.ascontiguousarray(tiles[:count])


# Name before the colon -> reader of (what stands after it, whether pairs are wanted).
NAMED_SETS: dict[str, Callable[[str, bool], NamedSet]] = {"worldtiles": worldtiles}


def describe() -> str:
    """The named sets, for people: a line per pair of views, with its counts."""
    index = worldtiles_index()
    counts = ", ".join(f"{count} {split}" for split, count in index["counts"].items())
    lines = [
        f"worldtiles   the Earth in {index['tile']}x{index['tile']} tiles, embedded ({counts})"
    ]
    lines += [f"  worldtiles:{x}-{y}" for x, y in permutations(VIEWS, 2)]
    return "\n".join(lines)


def names() -> list[str]:
    """Every embedded set that `--data` takes."""
    return [f"worldtiles:{x}-{y}" for x, y in permutations(VIEWS, 2)]
