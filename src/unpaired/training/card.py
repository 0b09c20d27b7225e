"""What a checkpoint says of itself; read without torch."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unpaired.errors import UserError
from unpaired.training.parsing import parse

FORMAT = 1


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

    def __post_init__(self) -> None:
        numbers = (self.channels_x, self.channels_y, self.size, self.multiple)
        if min(numbers) < 1 or not {self.dtype_x, self.dtype_y} <= {"uint8", "uint16"}:
            raise ValueError("a size, channel count or type that no checkpoint has")
        if not self.directions or not set(self.directions) <= {"x2y", "y2x"}:
            raise ValueError(f"directions {self.directions}")


def read_card(checkpoint: Path) -> Card:
    """The card of a checkpoint.

    Raises: UserError if it is missing, damaged or of a newer format.
    """
    return read_files(checkpoint)[0]


def read_files(checkpoint: Path) -> tuple[Card, dict[str, Any]]:
    """The card, and what it says of every other file: {name: {"bytes": ..., "sha256": ...}}.

    Raises: as `read_card`.
    """
    path = checkpoint / "checkpoint.json"
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        files = tree.pop("files")
        if tree["format"] > FORMAT:
            raise UserError(f'"{path}" was written by a newer version; update unpaired')
        card: Card = parse(Card, tree, f'"{path}"')
        return card, files
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f'"{path}" is damaged or missing ({reason_of(error)})') from None


def reason_of(error: Exception) -> str:
    """What went wrong with a file, in a few words."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space left on the disk"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if "No space left" in str(error):
        return "no space left on the disk"
    return f"{type(error).__name__}: {error}"
