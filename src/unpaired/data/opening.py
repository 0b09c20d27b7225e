"""What pictures are read from: regular files, and bytes that lie in something else."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True)
class Member:
    """A file that lies in an archive, a table, or nowhere: its name and its content."""

    name: str
    content: bytes


Encoded = Path | Member


def path_of(file: Encoded) -> Path:
    """What to call it."""
    return file if isinstance(file, Path) else Path(file.name)


@contextlib.contextmanager
def opened(file: Encoded) -> Iterator[BinaryIO]:
    """A file for reading.

    Raises: OSError, also for what is no regular file: reading a pipe or a device may never end.
    """
    if isinstance(file, Member):
        yield io.BytesIO(file.content)
        return
    with open(file, "rb", opener=regular) as found:
        yield found


def regular(path: str, flags: int) -> int:
    """`open`'s opener for regular files: never waits, as opening a pipe would.

    Raises: OSError for whatever else it is, without a gap between look and use.
    """
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise OSError(errno.EINVAL, "not a regular file")


def size_of(file: BinaryIO) -> int:
    """Bytes in an open file, whose position stays."""
    at = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(at)
    return end
