"""Whether a process holds a run folder, told without touching its lock."""

from __future__ import annotations

import os
from pathlib import Path

LOCKS = Path("/proc/locks")


def is_held(folder: Path, locks: Path = LOCKS) -> bool | None:
    """Whether a process of this machine trains in the folder (`training.folder.lock`).

    Trying the lock would, for a moment, keep a run from starting; Linux lists all locks instead.

    Returns: None where that can't be known: other systems; another machine may hold it anyway.
    """
    try:
        text = locks.read_text(encoding="ascii", errors="replace")
        inode = folder.stat().st_ino
    except OSError:
        return None
    for line in text.splitlines():  # 1: FLOCK  ADVISORY  WRITE 4711 08:01:262147 0 EOF
        parts = line.split()
        if len(parts) < 6 or parts[1] != "FLOCK":
            continue
        # the device is left out: layered file systems (overlayfs, btrfs) name another one there
        if parts[5].rpartition(":")[2] == str(inode) and _is_alive(parts[4]):
            return True
    return False


def _is_alive(process: str) -> bool:
    """A lock's number may be unknown here (-1, or of another container); then it counts."""
    if not process.isdigit() or process == "0":
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
