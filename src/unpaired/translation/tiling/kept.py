"""Feature maps that are held: in memory while that lasts, in an unnamed file after that."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unpaired.errors import UserError, reason_of
from unpaired.translation.tiling.fields import Derived, Field

GIB = 1 << 30


class Shelf:
    """Where fields are kept.

    Args:
        memory: bytes that may be held in memory.
        folder: for the rest, in files without a name, which vanish with the process.
        device: where rows are wanted.
    """

    def __init__(self, memory: float, folder: Path | None, device: torch.device) -> None:
        self.memory, self.device = memory, device
        self.folder = Path(folder or tempfile.gettempdir())
        self.spilled = 0.0
        """Bytes that files held at most."""
        self.on_disk = 0.0

    def place(self, field: Field, dtype: torch.dtype) -> Kept:
        """Room for a field. Raises: UserError if there is none."""
        size = field.channels * field.height * field.width * dtype.itemsize
        if size <= self.memory:
            self.memory -= size
            return InMemory(field, dtype, self, size)
        free = self.free()
        if size > free:
            raise UserError(
                f'"{self.folder}" has {free / GIB:.1f} GiB free, and one feature map needs '
                f"{size / GIB:.1f}; make room, set TMPDIR to a larger disk, or give --tiles fast"
            )
        self.on_disk += size
        self.spilled = max(self.spilled, self.on_disk)
        return OnDisk(field, dtype, self, size)

    def free(self) -> float:
        """Bytes of the folder's disk that nobody has."""
        return shutil.disk_usage(self.folder).free


class Kept:
    """A field that is held, and given up when nobody refers to it any more."""

    work = 0.0
    parents: tuple[Field, ...] = ()

    def __init__(self, like: Field, dtype: torch.dtype, shelf: Shelf, size: float) -> None:
        self.channels, self.height, self.width = like.channels, like.height, like.width
        self.dtype, self.shelf, self.size = dtype, shelf, size

    def write(self, top: int, rows: Tensor) -> None:
        """Keep (1, C, h, W) as the rows from `top` on."""
        raise NotImplementedError

    def rows(self, top: int, bottom: int) -> Tensor:
        """(1, C, bottom - top, W)."""
        raise NotImplementedError


class Tee(Derived):
    """A field that is kept as it is swept for the first time, down or up, and read from then on.

    Args: kept: where; its rows may be those that the field is computed from, as rows are written
        after all that they follow from was read.
    """

    def __init__(self, parent: Field, kept: Kept) -> None:
        super().__init__(parent)
        self.parents = ()
        self.kept = kept
        self.done = range(0)

    def rows(self, top: int, bottom: int) -> Tensor:
        done = self.done or range(top, top)
        self.done = range(min(top, done.start), max(bottom, done.stop))
        missing = [(top, done.start), (done.stop, bottom)]
        new = [(a, self.parent.rows(a, b)) for a, b in missing if a < b]
        for first, rows in new:
            self.kept.write(first, rows)
        if len(self.done) == self.height:
            self.finish()
        if len(new) == 1 and new[0][0] == top and new[0][1].shape[2] == bottom - top:
            return new[0][1]
        return self.kept.rows(top, bottom)

    def finish(self) -> None:
        """All of it is kept; what it was computed from is given up."""
        self.done, self.parent = range(self.height), self.kept


class InMemory(Kept):
    """Held on the device."""

    def __init__(self, like: Field, dtype: torch.dtype, shelf: Shelf, size: float) -> None:
        super().__init__(like, dtype, shelf, size)
        shape = (1, like.channels, like.height, like.width)
        self.held = torch.empty(
            shape, dtype=dtype, device=shelf.device, memory_format=torch.channels_last
        )

    def write(self, top: int, rows: Tensor) -> None:
        self.held[:, :, top : top + rows.shape[2]] = rows

    def rows(self, top: int, bottom: int) -> Tensor:
        return self.held[:, :, top:bottom]

    def __del__(self) -> None:
        self.shelf.memory += self.size


class OnDisk(Kept):
    """Held in a file, row after row, pixel after pixel.

    Read and written, not mapped: mapped pages would count as the process's memory.
    """

    def __init__(self, like: Field, dtype: torch.dtype, shelf: Shelf, size: float) -> None:
        super().__init__(like, dtype, shelf, size)
        self.file = tempfile.TemporaryFile(dir=shelf.folder, buffering=0)  # noqa: SIM115 - see __del__
        self.row = like.width * like.channels * dtype.itemsize

    def write(self, top: int, rows: Tensor) -> None:
        values = rows[0].permute(1, 2, 0).to("cpu", self.dtype).contiguous()
        rest = memoryview(values.view(torch.uint8).numpy().reshape(-1).data)
        at = top * self.row
        while rest:
            try:
                done = os.pwrite(self.file.fileno(), rest, at)
            except OSError as error:
                raise UserError(
                    f'cannot keep feature maps in "{self.shelf.folder}": '
                    f"{reason_of(error)}; make room or set TMPDIR"
                ) from None
            rest, at = rest[done:], at + done

    def rows(self, top: int, bottom: int) -> Tensor:
        values = np.empty((bottom - top) * self.row, np.uint8)
        rest, at = memoryview(values.data), top * self.row
        while rest:
            done = os.preadv(self.file.fileno(), [rest], at)
            if not done:
                raise OSError("a kept feature map is shorter than it was written")
            rest, at = rest[done:], at + done
        if hasattr(os, "posix_fadvise"):  # the next strip, while this one is worked on
            os.posix_fadvise(self.file.fileno(), at, len(values), os.POSIX_FADV_WILLNEED)
        held = torch.from_numpy(values).view(self.dtype)
        shaped = held.view(1, bottom - top, self.width, self.channels).permute(0, 3, 1, 2)
        return shaped.to(self.shelf.device)

    def __del__(self) -> None:
        self.shelf.on_disk -= self.size
        self.file.close()
