"""Trying a method out on tensors without content, before anything is written."""

from __future__ import annotations

import copy

import torch

from unpaired.data.memory import free_memory
from unpaired.errors import UserError
from unpaired.methods import Method

GIB = 1 << 30


def refuse_misfit(method: Method, channels: tuple[int, int], batch: int, size: int) -> None:
    """Try the losses at the size of the training crops: a network may be too deep for them.

    Args: channels: of X and Y; batch, size: of the training batches.
    Raises: UserError if they don't fit.
    """
    needed, free = 4 * batch * size**2 * sum(channels), free_memory()
    if needed > free:
        raise UserError(
            f"--size is {size} and --batch {batch}: the pictures of one step alone take "
            f"{needed / GIB:.1f} GiB of memory, and {free / GIB:.1f} are free; give a smaller one"
        )
    shadow = copy.deepcopy(method).to("meta")
    x, y = (torch.zeros(batch, c, size, size, device="meta") for c in channels)
    try:
        made = shadow.generate({"x": x, "y": y})
        for player in method.players:
            shadow.losses(player, {"x": x, "y": y}, made)
    except (RuntimeError, ValueError) as error:
        detail = str(error).splitlines()[0]
        raise UserError(
            f"--size is {size}, too small for these networks ({detail}); give a larger --size, or "
            "fewer --discriminator.layers or --generator.downsamplings"
        ) from None
