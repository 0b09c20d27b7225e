"""Tensors of all processes: their mean, and the images of the whole batch."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor


class Mean:
    """The mean over processes of some tensors, under way while this process goes on computing."""

    def __init__(self, tensors: list[Tensor], processes: int) -> None:
        """Send them off, as one message. Every process must do so, in one order."""
        self.tensors, self.processes = tensors, processes
        self.flat = torch.cat([t.flatten() for t in tensors])
        self.work = torch.distributed.all_reduce(self.flat, async_op=True)

    def arrive(self) -> None:
        """Set the tensors to their means; a GPU waits for them, the host doesn't."""
        self.work.wait()
        self.flat /= self.processes
        for tensor, mean in zip(
            self.tensors, torch.split(self.flat, [t.numel() for t in self.tensors])
        ):
            tensor.copy_(mean.view_as(tensor))


def whole_batch(images: Tensor, accelerator: Accelerator) -> Tensor:
    """(N, C, H, W) of each process -> (processes * N, C, H, W), in the order of processes."""
    if accelerator.num_processes == 1:
        return images
    together: Tensor = accelerator.gather(images.contiguous())
    return together.contiguous(memory_format=torch.channels_last)


def take_from_main(tensors: Iterable[Tensor]) -> None:
    """Set each tensor, in place, to what the main process has."""
    for tensor in tensors:
        sent = tensor.detach().clone(memory_format=torch.contiguous_format)
        tensor.detach().copy_(broadcast(sent))
