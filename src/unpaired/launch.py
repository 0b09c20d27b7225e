"""What a launcher (`torchrun`, `accelerate launch`) says of this process; needs no torch."""

from __future__ import annotations

import os


def processes() -> int:
    """How many processes the launcher started for one job; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def is_main() -> bool:
    """Whether this process speaks and writes for all of the job."""
    return os.environ.get("RANK", "0") in ("", "0")


def is_first_here() -> bool:
    """Whether this process says what all processes of its machine find out by themselves."""
    return os.environ.get("LOCAL_RANK", "0") in ("", "0", "-1")


def processes_here() -> int:
    """How many of the job's processes share this machine's memory."""
    return int(os.environ.get("LOCAL_WORLD_SIZE") or processes())


def may_restart() -> bool:
    """Whether the launcher starts all processes anew when one is lost (`--max-restarts`)."""
    return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS") or 0) > 0


def restart_may_fail() -> bool:
    """Whether processes that are started anew may take addresses of lost ones for their own.

    torchrun's store keeps them (https://github.com/pytorch/pytorch/issues/135712).
    """
    return may_restart() and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def restarts() -> int:
    """How often it has done so."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT") or 0)
