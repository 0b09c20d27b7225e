"""How much arithmetic a computation is, two operations per multiplication."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from unpaired.methods import Method


def operations(run: Callable[[], object]) -> int:
    """Operations of the convolutions and matrix products in one call of `run`, backward included.

    A convolution of k x k weights from c to d channels makes 2 k k c d of them per output pixel, in
    whichever pass; edges that see padding count in full. On "meta" nothing is computed.
    """
    counter = _Counter()  # type: ignore[no-untyped-call]
    with counter:
        run()
    return counter.total


def step_operations(method: Method, batch: int, size: int, channels: tuple[int, int]) -> int:
    """Operations of one training step, by its equations; nothing is computed.

    Args: batch: images of each domain; size: their sides in pixels; channels: of X and Y.
    """
    # on "meta" convolutions are counted directly, whatever shortcut a CPU takes
    method = copy.deepcopy(method).to("meta")
    x, y = (torch.zeros(batch, c, size, size, device="meta") for c in channels)

    def step() -> None:
        made = method.generate({"x": x, "y": y})
        for player in method.players:
            losses = method.losses(player, {"x": x, "y": y}, made)
            made = {name: value.detach() for name, value in made.items()}
            parameters = (p for network in method.networks(player) for p in network.parameters())
            own = [p for p in parameters if p.requires_grad]
            if losses:
                total = torch.stack(list(losses.values())).sum()
                torch.autograd.grad(total, own, allow_unused=True)

    return operations(step)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every kernel that runs. Torch's own FlopCounterMode fails under `autograd.grad`."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        kernel = func._overloadpacket
        if kernel not in flop_registry:
            with self:  # what torch makes of several kernels, as conv2d under inference_mode
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **kwargs)
        if kernel in flop_registry:
            self.total += flop_registry[kernel](*args, **kwargs, out_val=out)
        return out
