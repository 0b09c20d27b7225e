"""Finds what would make the host wait for a GPU, on a machine without one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

# operators whose result, or its shape, is a value that the host must read
READING = {
    "_local_scalar_dense",  # item(), float(), bool(), tolist(), a 0-dimensional index
    "item",
    "is_nonzero",
    "equal",
    "allclose",
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "bincount",
    "repeat_interleave",
}
# calls that copy from the device, or to it and wait; on a CPU they do nothing that one could see
FROM_DEVICE = {"cpu", "numpy", "tolist", "item", "__array__", "pin_memory"}
TO_DEVICE = {"to", "cuda"}
FROM_HOST = {"tensor", "as_tensor", "asarray", "new_tensor"}


class HostWaitsError(AssertionError):
    """The host would wait for the device here."""


class _Operators(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::")
        if name in READING:
            raise HostWaitsError(name)
        if name in ("index", "index_put", "index_put_") and any(
            isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8) for i in args[1]
        ):
            raise HostWaitsError(f"{name} with a mask")
        return func(*args, **(kwargs or {}))


class _Calls(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in FROM_DEVICE:
            raise HostWaitsError(name)
        to_device = name in TO_DEVICE and (
            "device" in kwargs or any(isinstance(a, str | torch.device | Tensor) for a in args[1:])
        )
        ours = not sys._getframe(1).f_globals["__name__"].startswith("torch.")  # its moves are idle
        if to_device and ours and not kwargs.get("non_blocking"):
            raise HostWaitsError(f"{name} without non_blocking=True")
        if name in FROM_HOST and (kwargs.get("device") is not None or name == "new_tensor"):
            raise HostWaitsError(f"{name} on the device")
        return func(*args, **kwargs)


@contextmanager
def never_waits() -> Iterator[None]:
    """Within the context, whatever would make the host wait for a GPU raises `HostWaitsError`."""
    with _Calls(), _Operators():
        yield
