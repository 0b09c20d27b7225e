"""How much memory is free, and a share of it that several can draw on."""

from __future__ import annotations

from pathlib import Path

import psutil

PAGE = 4096
CGROUPS, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def free_memory() -> int:
    """Bytes that can still be taken: of the machine, and of the container or job one is in."""
    free = psutil.virtual_memory().available
    try:
        own = OWN.read_text(encoding="ascii").rpartition("::")[2].strip()
        groups = [CGROUPS / own.lstrip("/")]
    except (OSError, ValueError):  # not Linux
        return free
    while groups[-1] != CGROUPS and CGROUPS in groups[-1].parents:
        groups.append(groups[-1].parent)
    return min([free, *(left for group in groups if (left := _left_in(group)) is not None)])


def _left_in(group: Path) -> int | None:
    """What a control group (version 2) may still take; None: it has no limit."""
    try:
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        used = int((group / "memory.current").read_text(encoding="ascii"))
        lines = (group / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):  # "max"
        return None
    given_back = sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
    return max(0, limit - used + given_back)


class Budget:
    """Memory that is not to be exceeded.

    Attributes: left: bytes.
    """

    def __init__(self, size: float) -> None:
        self.left = size

    def take(self, size: int) -> bool:
        """Set aside memory for an array of `size` bytes, if that much is left.

        Counted in whole pages and with half a kilobyte for the objects around it, as it is really
        taken.
        """
        real = -(-size // PAGE) * PAGE + 512
        if real > self.left:
            return False
        self.left -= real
        return True
