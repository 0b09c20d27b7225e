"""How much disk an exact translation needs: the same walk over the network, without a pixel."""

from __future__ import annotations

import torch
from torch import nn

from unpaired.errors import UserError
from unpaired.translation.norms import Statistics
from unpaired.translation.tiling.exact import Exact
from unpaired.translation.tiling.fields import Field
from unpaired.translation.tiling.kept import GIB, Kept, Shelf, Tee


def require_room(network: nn.Module, image: Field, dtype: torch.dtype, shelf: Shelf) -> None:
    """Raises: UserError if the shelf's folder has less room than feature maps will need at once."""
    needed, free = disk_needed(network, image, dtype, shelf.memory), shelf.free()
    if needed > free:
        raise UserError(
            f'"{shelf.folder}" has {free / GIB:.1f} GiB free, and the feature maps need '
            f"{needed / GIB:.1f}; make room, set TMPDIR to a larger disk, or give --tiles fast"
        )


def disk_needed(network: nn.Module, image: Field, dtype: torch.dtype, memory: float) -> float:
    """Bytes that feature maps take at most at once, those held in `memory` bytes aside."""
    shelf = _Counting(memory, None, torch.device("cpu"))
    _Rehearsal(shelf, dtype)(network, image)
    return shelf.spilled


class _Rehearsal(Exact):
    """Sweeps that compute nothing."""

    def sweep(self, x: Field) -> Statistics:
        """Statistics of nothing; what would be kept by now counts as kept."""
        _finish(x)
        return torch.zeros(x.channels), torch.ones(x.channels)


class _Counting(Shelf):
    """Places that hold nothing."""

    def place(self, field: Field, dtype: torch.dtype) -> Kept:
        size = field.channels * field.height * field.width * dtype.itemsize
        return _Counted(field, dtype, self, size)


class _Counted(Kept):
    def __init__(self, like: Field, dtype: torch.dtype, shelf: Shelf, size: float) -> None:
        super().__init__(like, dtype, shelf, size)
        self.in_memory = size <= shelf.memory
        self._take(size)

    def __del__(self) -> None:
        self._take(-self.size)

    def _take(self, size: float) -> None:
        if self.in_memory:
            self.shelf.memory -= size
        else:
            self.shelf.on_disk += size
            self.shelf.spilled = max(self.shelf.spilled, self.shelf.on_disk)


def _finish(field: Field) -> None:
    if isinstance(field, Tee) and len(field.done) < field.height:
        _finish(field.parent)
        field.finish()
    for parent in field.parents:
        _finish(parent)
