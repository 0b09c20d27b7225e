"""What is known of a picture of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["real", "fake", "obvious"]


@dataclass(frozen=True)
class Picture:
    """One picture of a study."""

    id: str
    """Its random file name; the truth about it stays on the server."""
    kind: Kind
    arm: str
    """The algorithm (and direction) that made it; of others the direction, "" if there is one."""
    name: str
    """What it was called where it came from."""
