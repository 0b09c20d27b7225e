"""What a checkpoint says of itself; read without torch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unpaired.data.units import Units
from unpaired.errors import UserError, reason_of
from unpaired.training.parsing import parse

FORMAT = 1
MULTIPLE = 4096
"""The largest that is believed: pictures are padded to it. Ten halvings make 1024."""


class DamagedError(UserError):
    """A checkpoint is not what was written; an earlier one may be."""


@dataclass(frozen=True)
class Card:
    """What a checkpoint says of itself, so that no verb ever asks for it again."""

    method: str
    settings: dict[str, Any]
    """The method's settings: architecture, norm, losses."""
    channels_x: int
    channels_y: int
    dtype_x: str
    """"uint8" or "uint16": [-1, 1] stands for its whole range."""
    dtype_y: str
    size: int
    """Side of the training crops in pixels."""
    images: dict[str, Any]
    """How images were prepared (`ImageConfig`)."""
    data: str
    """What it was trained on, in words."""
    directions: tuple[str, ...]
    multiple: int
    """Sides given to the networks must be multiples of this."""
    precision: str
    step: int
    epoch: float
    preset: str | None = None
    score: float | None = None
    """Validation score at this step, lower is better, if one was taken."""
    format: int = FORMAT
    units_x: Units | None = None
    """What the levels of `dtype_x` stand for in the files of X; None: for themselves."""
    units_y: Units | None = None

    def __post_init__(self) -> None:
        numbers = (self.channels_x, self.channels_y, self.size, self.multiple)
        if min(numbers) < 1 or not {self.dtype_x, self.dtype_y} <= {"uint8", "uint16"}:
            raise ValueError("a size, channel count or type that no checkpoint has")
        if self.multiple > MULTIPLE:
            raise ValueError(f"sides of multiples of {self.multiple}")
        for units, dtype in ((self.units_x, self.dtype_x), (self.units_y, self.dtype_y)):
            if units is not None and dtype != "uint16":
                raise ValueError(f"units of {dtype}")
        if not self.directions or not set(self.directions) <= {"x2y", "y2x"}:
            raise ValueError(f"directions {self.directions}")

    def units(self, direction: str) -> tuple[Units | None, Units | None]:
        """Of what goes in, and of what comes out."""
        both = self.units_x, self.units_y
        return both if direction == "x2y" else both[::-1]


def read_card(checkpoint: Path) -> Card:
    """The card of a checkpoint.

    Raises: UserError if it is missing, damaged or of a newer format.
    """
    return read_files(checkpoint)[0]


def read_files(checkpoint: Path) -> tuple[Card, dict[str, Any]]:
    """The card, and what it says of every other file: {name: {"bytes": ..., "sha256": ...}}.

    Raises: DamagedError if it is missing or damaged; UserError if it is of a newer format.
    """
    path = checkpoint / "checkpoint.json"
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        seal = tree.pop("sha256", None)  # the first cards had none
        if seal not in (None, _digest(tree)):
            raise ValueError("its content is not what was written")
        files = tree.pop("files")
        if tree["format"] > FORMAT:
            raise UserError(f'"{path}" was written by a newer version; update unpaired')
        card: Card = parse(Card, tree, f'"{path}"')
        return card, {name: dict(facts) for name, facts in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f'"{path}" is damaged or missing ({reason_of(error)})') from None


def card_text(card: Card, files: dict[str, Any]) -> str:
    """Content of checkpoint.json: the card, the fingerprints of the other files, and its own."""
    tree = {**asdict(card), "files": files}
    return json.dumps({**tree, "sha256": _digest(tree)}, indent=1)


def _digest(tree: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(tree).encode()).hexdigest()
