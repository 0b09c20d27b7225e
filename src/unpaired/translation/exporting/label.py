"""What an exported file says of itself; read without torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from unpaired import __version__
from unpaired.errors import UserError
from unpaired.training.card import Card
from unpaired.training.parsing import parse

KEY = "unpaired"
"""Under this name the label stands in a file's metadata, as JSON."""
INPUT, OUTPUT = "images", "translations"
FORMAT = 1
LARGEST_MULTIPLE, LARGEST_SIDE = 4096, 8192
"""Pixels; a label that asks for more is damaged, and would fill the memory with padding."""


@dataclass(frozen=True)
class Label:
    """All that is needed to use a file, and to know where it comes from."""

    card: Card
    """The checkpoint's, with the file's one direction."""
    smallest: int
    """Shortest side in pixels that the network takes."""
    run: str
    """Name of the run's folder."""

    @property
    def direction(self) -> str:
        return self.card.directions[0]

    @property
    def channels(self) -> tuple[int, int]:
        """Into the network, and out of it."""
        ends = self.card.channels_x, self.card.channels_y
        return ends if self.direction == "x2y" else ends[::-1]

    def write(self) -> str:
        """JSON: what a user of the file must know in plain words first, then the card."""
        card, forth = self.card, self.direction == "x2y"
        ends = [(card.channels_x, card.dtype_x), (card.channels_y, card.dtype_y)]
        (channels_in, dtype_in), (channels_out, dtype_out) = ends if forth else ends[::-1]
        units_in, units_out = (units and asdict(units) for units in card.units(self.direction))
        common = {"layout": "NCHW", "dtype": "float32", "range": [-1, 1]}
        tree = {
            "format": FORMAT,
            "unpaired": __version__,
            "run": self.run,
            "step": card.step,
            "data": card.data,
            "direction": self.direction,
            "input": {
                "name": INPUT,
                **common,
                "channels": channels_in,
                "range_stands_for": units_in or dtype_in,
                "sides_are_multiples_of": card.multiple,
                "smallest_side": self.smallest,
            },
            "output": {
                "name": OUTPUT,
                **common,
                "channels": channels_out,
                "range_stands_for": units_out or dtype_out,
            },
            "card": asdict(card),
        }
        return json.dumps(tree)


def label_of(card: Card, direction: str, smallest: int, run: str) -> Label:
    """The label of one direction of a checkpoint."""
    return Label(replace(card, directions=(direction,)), smallest, run)


def read_label(text: str | None, source: str) -> Label:
    """A label from what stands in a file.

    Args:
        text: None: nothing stands there.
        source: the file, for messages.
    Raises: UserError if it is no label of ours, is damaged, or of a newer format.
    """
    if text is None:
        raise UserError(
            f'"{source}" does not say that unpaired made it, so its channels, range and sides are '
            "unknown; give a file from `unpaired export`, or a run folder"
        )
    try:
        tree: dict[str, Any] = json.loads(text)
        if tree["format"] > FORMAT:
            raise UserError(f'"{source}" was written by a newer version; update unpaired')
        card: Card = parse(Card, tree["card"], f'"{source}"')
        smallest = tree["input"]["smallest_side"]
        if type(smallest) is not int or not 1 <= smallest <= LARGEST_SIDE:
            raise ValueError(f"smallest_side is no whole number from 1 to {LARGEST_SIDE}")
        if card.multiple > LARGEST_MULTIPLE:
            raise ValueError(f"multiple is over {LARGEST_MULTIPLE}")
        if card.directions != (tree["direction"],):
            raise ValueError("directions are not the one of the file")
        return Label(card, smallest, str(tree["run"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise UserError(
            f'"{source}" has a damaged label ({type(error).__name__}: {error}); export it again'
        ) from None
