"""What to make of an error that may say that memory is short."""

from __future__ import annotations

import sys

SAID = (
    "bad_alloc",
    "bad allocation",
    "allocate memory",
    "out of memory",
    "not enough memory",
    "alloc_failed",
    "could not create a primitive",
)
"""How the libraries say it: C++, torch on CPUs and GPUs, OpenVINO and ONNX Runtime, cuDNN,
oneDNN."""


def is_shortage(error: BaseException) -> bool:
    """Whether it says so."""
    return isinstance(error, MemoryError) or any(word in str(error).lower() for word in SAID)


def give_back() -> None:
    """Let a GPU have back what torch keeps of its memory for later, if there is one in use."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
