"""Files of safetensors, whatever bytes their paths are made of."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load, load_file
from torch import Tensor


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file by its name, on the CPU.

    The library takes no path that isn't UTF-8, though systems have such; such a file is read into
    memory before it is given to it, and for a moment takes twice its size.

    Raises: OSError, SafetensorError.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return dict(load(path.read_bytes()))
    return dict(load_file(path))
