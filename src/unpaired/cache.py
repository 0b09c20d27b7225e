"""What is kept between commands to save time; every part of it can be deleted at any moment."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

LARGEST = 2_000_000_000
"""Bytes that a part may take; what was not used for longest goes first."""


def cache_folder(part: str) -> Path:
    """Where a part of it lies: $UNPAIRED_CACHE, else unpaired/ in the user's cache folder."""
    if own := os.environ.get("UNPAIRED_CACHE"):
        return Path(own) / part
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "unpaired" / part


def forget_oldest(but: Path) -> None:
    """Delete folders beside `but`, those not used for longest first, until the rest is small
    enough."""
    with contextlib.suppress(OSError):
        folders = sorted(but.parent.iterdir(), key=lambda folder: folder.stat().st_mtime)
        sizes = {
            folder: sum(path.stat().st_size for path in folder.rglob("*"))
            for folder in folders
            if folder.is_dir()
        }
        total = sum(sizes.values())
        for folder, size in sizes.items():
            if total <= LARGEST:
                return
            if folder != but:
                shutil.rmtree(folder, ignore_errors=True)
                total -= size
