"""Archives of pictures from strangers: unpacked whole or not at all, and only to where they belong.

Nothing but plain files with a picture's suffix (and notes: .txt, .md, .csv) is written. An archive
with a name that leads elsewhere, a link, a device, two files of one name, or more in it than its
size can explain is refused as a whole.
"""

from __future__ import annotations

import errno
import gzip
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from unpaired.data.decode import IMAGE_SUFFIXES
from unpaired.errors import UserError
from unpaired.meter import Show

KEPT = IMAGE_SUFFIXES | {".txt", ".md", ".csv"}
MOST_FILES = 200_000
MOST_BYTES = 32 << 30
RATIO = 20  # pictures hardly get smaller when they are packed
FLOOR = 16 << 20  # bytes that any archive may hold, whatever its own size
HEADER = 1 << 20  # bytes read at once from a tar file
EXTENDING = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)
EXTENDED = 1 << 13  # bytes of one of those, which only go before a member's own header
MOST_SHARED = 1000  # facts in a tar file's headers that are for all its members
DIRECTORY = 32 << 20  # bytes of a zip file's list of members
NAME = 1024  # bytes of one name
BLOCK = 1 << 20
DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, struct.error),
    *(EOFError, ValueError, OverflowError),
    RecursionError,  # of tarfile, by hundreds of extended headers before one member
)
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""What names a device in any folder on Windows."""


class HostileArchive(Exception):  # noqa: N818 - the file is at fault
    """What no honest archive of pictures has. The message says what, in a few words."""


@dataclass(frozen=True)
class Member:
    """A plain file in an archive: `open` gives its content."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, folder: Path, show: Show | None = None) -> int:
    """Write an archive's pictures below `folder`, which must not hold any of them yet.

    Args: show: told after each piece how many bytes have been written; nobody knows of how many.
    Returns: how many files.
    Raises: UserError if it is damaged or hostile, or the disk is full.
    """
    try:
        limit = min(MOST_BYTES, max(FLOOR, RATIO * archive.stat().st_size))
        with _opened(archive, limit) as members:  # its headers alone, before a file is written
            for count, _ in enumerate(members, 1):
                if count > MOST_FILES:
                    raise HostileArchive(f"over {MOST_FILES:,} files")
        with _opened(archive, limit) as members:
            return _write_all(members, folder, limit, show)
    except HostileArchive as error:
        raise UserError(f'"{archive}" is not unpacked: {error}') from None
    except DAMAGED as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f'"{archive}" is damaged ({what}); delete it and get it again') from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # what zipfile makes of a place before the file's start
            raise
        raise UserError(f'"{archive}" is damaged; delete it and get it again') from None
    except NotImplementedError as error:
        raise UserError(f'"{archive}" is packed in a way that is not read: {error}') from None


def _write_all(members: Iterator[Member], folder: Path, limit: int, show: Show | None) -> int:
    seen: set[str] = set()
    written = files = 0
    for member in members:
        parts = safe_parts(member.name)
        name = "/".join(parts)
        if name in seen:
            raise HostileArchive(f'two files in it are called "{_shown(name)}"')
        seen.add(name)
        hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
        if hidden or PurePosixPath(name).suffix.lower() not in KEPT:
            continue
        if written + member.size > limit:
            raise HostileArchive(f"over {limit:,} bytes in it, too many for its size")
        place = folder.joinpath(*parts)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with member.open() as source, place.open("xb") as file:
                size = 0
                while block := source.read(BLOCK):
                    size += len(block)
                    if size > member.size:
                        raise HostileArchive(f'"{_shown(name)}" is larger than it says')
                    file.write(block)
                    if show:
                        show(written + size, None)
        except (FileExistsError, NotADirectoryError):
            raise HostileArchive(f'"{_shown(name)}" is in another file\'s place') from None
        if size != member.size:
            raise HostileArchive(f'"{_shown(name)}" is smaller than it says')
        written += size
        files += 1
    return files


def safe_parts(name: str) -> tuple[str, ...]:
    """The folders and the file of a member's name.

    Raises: HostileArchive if it could lead out of the folder, on any system.
    """
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    odd = "\\" in name or ":" in name or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in name)
    odd |= any(DEVICES.match(part) or part.endswith((".", " ")) for part in parts)
    if odd or name.startswith("/") or ".." in parts or not parts:
        raise HostileArchive(f'a name in it leads elsewhere: "{_shown(name)}"')
    if len(os.fsencode(name)) > NAME or any(len(os.fsencode(part)) > 255 for part in parts):
        raise HostileArchive("a name in it is too long")
    return parts


def _shown(name: str) -> str:
    return ascii(name[:80])[1:-1]


@contextmanager
def _opened(archive: Path, limit: int) -> Iterator[Iterator[Member]]:
    """The plain files of a zip or a tar file, packed by gzip or not."""
    with archive.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        if start[:2] == b"PK":
            with zipfile.ZipFile(Listed(file)) as packed:
                yield _of_zip(packed)
        elif start[:2] == b"\x1f\x8b":
            with gzip.open(file) as stream:
                yield _of_tar(Bounded(stream, limit + limit // 4 + FLOOR))
        else:
            yield _of_tar(Bounded(file, limit + limit // 4 + FLOOR))


def _of_zip(packed: zipfile.ZipFile) -> Iterator[Member]:
    if len(packed.infolist()) > MOST_FILES:
        raise HostileArchive(f"over {MOST_FILES:,} files")
    for info in packed.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.is_dir():
            safe_parts(info.orig_filename)
            continue
        if kind not in (0, stat.S_IFREG):
            raise HostileArchive(f'"{_shown(info.filename)}" is a link or a device')
        if info.flag_bits & 1:
            raise HostileArchive(f'"{_shown(info.filename)}" needs a password')
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise HostileArchive(f'"{_shown(info.filename)}" is packed in an unusual way')
        # orig_filename: ZipFile cuts a name at its first zero
        yield Member(info.orig_filename, info.file_size, partial(packed.open, info))


def _of_tar(stream: Bounded) -> Iterator[Member]:
    with tarfile.open(fileobj=stream, mode="r:", tarinfo=Header) as packed:  # type: ignore[call-overload]
        for info in packed:
            if len(packed.pax_headers) > MOST_SHARED:
                raise HostileArchive("too many headers")
            if info.isdir():
                if info.name not in (".", "./"):
                    safe_parts(info.name)
            elif not info.isreg() or info.issparse():
                raise HostileArchive(f'"{_shown(info.name)}" is a link or a device')
            else:
                yield Member(info.name, info.size, partial(_content, packed, info))
            packed.members.clear()  # which it would collect
        stream.seek(packed.offset)
    blocks = 0
    while rest := stream.read(tarfile.BLOCKSIZE):  # to the end, where gzip keeps its checksum
        blocks += 1
        if any(rest):
            raise ValueError("not a tar file from some place on")
    if not blocks:
        raise ValueError("cut short")


def _content(packed: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = packed.extractfile(info)
    assert content is not None  # it is a plain file
    return content


class Header(tarfile.TarInfo):
    """A header of a tar file, refused if no honest one is like it.

    Of a size below zero tarfile makes an endless loop, of a long extended header, on Pythons of
    before 2024, one that takes hours (CVE-2025-8194, CVE-2024-6232).
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Header:
        header = super().frombuf(buf, encoding, errors)
        if header.size < 0:
            raise HostileArchive("a size below zero")
        if header.type in EXTENDING and header.size > EXTENDED:
            raise HostileArchive(f"a header of {header.size:,} bytes")
        return header


class Listed:
    """A zip file whose list of members, which is read at once, is bounded."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        if count > DIRECTORY:
            raise HostileArchive(f"a list of members of {count:,} bytes")
        return self.file.read(count)


class Bounded:
    """A stream that gives up to `limit` bytes and refuses headers that claim to be huge.

    Content is read in blocks; headers are read at once, however long they say they are.
    """

    def __init__(self, stream: Any, limit: int) -> None:
        self.stream, self.left = stream, limit

    def read(self, count: int) -> bytes:
        if count > HEADER:
            raise HostileArchive(f"a header of {count:,} bytes")
        found: bytes = self.stream.read(count)
        self.left -= len(found)
        if self.left < 0:
            raise HostileArchive("more in it than its size can explain")
        return found

    def seek(self, to: int) -> int:
        at = self.tell()
        self.left -= max(0, to - at)
        if self.left < 0:
            raise HostileArchive("more in it than its size can explain")
        return at if to == at else int(self.stream.seek(to))

    def tell(self) -> int:
        return int(self.stream.tell())
