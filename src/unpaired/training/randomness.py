"""The global random states, taken and restored; and generators derived from a run's seed."""

from __future__ import annotations

import random
import zlib
from collections.abc import Mapping
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
    """Every global random state: torch's as tensors, Python's and NumPy's as plain values."""
    tensors = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors |= {f"cuda_{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    name, keys, *rest = np.random.get_state(legacy=True)
    plain = [name, np.asarray(keys).tolist(), *rest]
    return tensors, {"python": random.getstate(), "numpy": plain}


def restore_random_state(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """Take up the states of `random_state`; KeyError if one is missing."""
    torch.set_rng_state(tensors["cpu"])
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            if f"cuda_{i}" in tensors:  # a run may move to a machine with more devices
                torch.cuda.set_rng_state(tensors[f"cuda_{i}"], i)
    version, internal, gauss = values["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = values["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
