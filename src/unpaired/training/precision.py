"""Which floating-point format a device does well."""

from __future__ import annotations

import contextlib
from typing import Literal

import torch

from unpaired.errors import UserError

Precision = Literal["auto", "fp32", "bf16", "fp16"]


def choose_device(requested: str = "auto") -> torch.device:
    """The device to compute on: the first accelerator if there is one, else the CPU.

    Raises: UserError if `requested` is not a device of this machine.
    """
    accelerator = (
        torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    )
    if requested == "auto":
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(requested)
    except RuntimeError:
        raise UserError(
            f'--device is "{requested}", unknown to torch; give cpu, cuda, cuda:1, mps or auto'
        ) from None
    if device.type != "cpu" and (accelerator is None or accelerator.type != device.type):
        raise UserError(
            f'--device is "{requested}", but torch finds no such device here; give cpu or auto '
            "(`unpaired doctor` lists what there is)"
        )
    return device


def choose_precision(requested: Precision, device: torch.device) -> torch.dtype | None:
    """The dtype for autocast, or None for plain float32.

    `auto` takes bfloat16 where the hardware computes in it (CUDA from Ampere on, CPUs with
    AVX-512 BF16 or AMX), float16 on older CUDA devices, float32 elsewhere. Weights, optimizer
    states and losses stay float32 whatever is chosen.

    Raises: UserError for fp16 on a device without it.
    """
    if requested == "fp32":
        return None
    if requested == "bf16":
        return torch.bfloat16
    if requested == "fp16":
        if device.type == "cpu":
            raise UserError("--precision fp16 does not train on a CPU; give bf16 or fp32")
        return torch.float16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16
    if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return None


def autocast(
    device: torch.device, dtype: torch.dtype | None
) -> contextlib.AbstractContextManager[None]:
    """The context in which networks run: autocast to `dtype`, or nothing for float32."""
    return contextlib.nullcontext() if dtype is None else torch.autocast(device.type, dtype)


def without_autocast(
    device: torch.device, dtype: torch.dtype | None
) -> contextlib.AbstractContextManager[None]:
    """Within `autocast(device, dtype)`: the context in which gradients are taken.

    Autocast keeps its cast weights meanwhile.
    """
    return contextlib.nullcontext() if dtype is None else torch.autocast(device.type, enabled=False)
