"""The global random states, taken and restored; and generators derived from a run's seed."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor


def derived(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """A generator that is a function of (seed, purpose, index) alone."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *index])


def seed_everything(seed: int) -> None:
    """Set every global generator: torch's (all devices), NumPy's, Python's."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_state() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Every global random state: torch's as tensors, Python's and NumPy's as plain values.

    Of the CUDA devices, the one at work: whatever its number, in another session or process.
    """
    tensors = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["cuda"] = torch.cuda.get_rng_state()
    name, keys, *rest = np.random.get_state(legacy=True)
    plain = [name, np.asarray(keys).tolist(), *rest]
    return tensors, {"python": random.getstate(), "numpy": plain}


def restore_random_state(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """Take up the states of `random_state`; KeyError if one is missing."""
    torch.set_rng_state(tensors["cpu"])
    if torch.cuda.is_available() and "cuda" in tensors:  # a run may come from a CPU
        torch.cuda.set_rng_state(tensors["cuda"])
    version, internal, gauss = values["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = values["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))


@contextmanager
def unmoved() -> Iterator[None]:
    """Within the context chance may be used freely: afterwards all states are as before."""
    before = random_state()
    try:
        yield
    finally:
        restore_random_state(*before)
