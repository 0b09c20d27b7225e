"""Weights that are spread over processes (FSDP2), for generators that fit no single device.

Accelerate is configured for it (`accelerate launch --use_fsdp --fsdp_version 2 ...`) and does it.
The networks that translate are sharded; those that judge them are small and stay whole. Every
process then steps on its own shards, and keeps no more of weights, moments and averages. Gradients
come averaged, from `backward`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from unpaired.errors import UserError


def is_asked_for(accelerator: Accelerator) -> bool:
    """Whether Accelerate is configured for it. Raises: UserError for FSDP's first version."""
    if getattr(accelerator, "distributed_type", "NO") != "FSDP":
        return False
    if not accelerator.is_fsdp2:
        raise UserError(
            "only the second version of FSDP is supported; give `accelerate launch` "
            "--fsdp_version 2"
        )
    return True


class Shards:
    """What is spread over the processes: parameters, by their names on the method.

    Without FSDP there are none, and everything is passed through as it is.
    """

    def __init__(self, method: nn.Module) -> None:
        self.method = method
        self.spread: dict[str, Any] = {}  # DTensors
        self.twin: nn.Module | None = None

    def make(self, networks: Iterable[nn.Module], accelerator: Accelerator) -> None:
        """Spread `networks`, in place, as Accelerate is configured to."""
        from accelerate.utils.fsdp_utils import fsdp2_prepare_model
        from torch.distributed.fsdp import register_fsdp_forward_method

        if accelerator.is_main_process:  # it translates by itself, with weights from all
            self.twin = copy.deepcopy(self.method).cpu()
        for network in networks:
            network.to(memory_format=torch.contiguous_format)  # FSDP takes no other
            fsdp2_prepare_model(accelerator, network)
            if hasattr(network, "encode"):  # called by itself, beside `forward`
                register_fsdp_forward_method(network, "encode")
        self.spread = {n: p for n, p in self.method.named_parameters() if is_spread(p)}

    def whole(self, name: str, own: Tensor) -> Tensor:
        """All of a tensor of which every process holds such a shard as of the parameter `name`.

        All processes take part, in one order.
        """
        if name not in self.spread or own.dim() == 0:
            return own
        from torch.distributed.tensor import DTensor

        like = self.spread[name]
        stride = torch.empty(like.shape, device="meta").stride()
        spread = DTensor.from_local(
            own.contiguous(), like.device_mesh, like.placements, shape=like.shape, stride=stride
        )
        return spread.full_tensor()

    def own(self, name: str, whole: Tensor) -> Tensor:
        """This process's shard of a tensor: what `whole` undoes."""
        if name not in self.spread or whole.dim() == 0:
            return whole
        from torch.distributed.tensor import distribute_tensor

        like = self.spread[name]
        spread = distribute_tensor(whole.to(like.device), like.device_mesh, like.placements)
        return spread.to_local()

    def gradients(self, loss: Tensor, parameters: list[nn.Parameter]) -> list[Tensor]:
        """This process's shards of the gradients, which are means over processes.

        Args: parameters: spread ones. What `backward` leaves with their opponents is dropped.
        """
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [
            torch.zeros_like(shard_of(p)) if p.grad is None else shard_of(p.grad)
            for p in parameters
        ]
        self.method.zero_grad(set_to_none=True)
        return gradients


def is_spread(tensor: Tensor) -> bool:
    """Whether this process holds a shard of `tensor` alone."""
    return hasattr(tensor, "to_local")


def shard_of(tensor: Tensor) -> Tensor:
    """The memory of this process that holds its shard of `tensor`; all, if it's not spread."""
    held = tensor.detach()
    return cast(Tensor, held.to_local()) if is_spread(held) else held  # type: ignore[attr-defined]
