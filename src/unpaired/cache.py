"""What is kept between commands to save time; every part of it can be deleted at any moment."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(part: str) -> Path:
    """Where a part of it lies: $UNPAIRED_CACHE, else unpaired/ in the user's cache folder."""
    if own := os.environ.get("UNPAIRED_CACHE"):
        return Path(own) / part
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "unpaired" / part
