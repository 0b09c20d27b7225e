"""Whether a file is all there: what its format says about it, before any decoding.

Decoders fill what is missing with grey or black, or take a run of zeros for pixels.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from typing import BinaryIO

from unpaired.data.opening import size_of

BLOCK = 1 << 20
LARGEST = 1 << 30  # bytes of a JPEG, which is held while it is decoded
SCANS = 500  # of a JPEG; a progressive one has about ten
SCANNED = 1 << 33  # pixels times scans: each of them passes over the whole picture
MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
"""What ends a run of entropy-coded data: not a stuffed zero, not a restart."""

ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
"""Passes of an interlaced PNG: where in a row and column they start, and in which steps they go."""

CUT = "cut short"


class Damaged(Exception):  # noqa: N818 - the file is at fault
    """Says in a few words how the file is not what it was."""


def check_png(file: BinaryIO, pixels: int) -> None:  # noqa: ARG001
    """Every chunk up to IEND has its length and checksum, and the data unpack to all rows, no more.

    The data are unpacked here and once more by Pillow: a third of the time a PNG takes. But Pillow
    stops at the last row it wants. Alone it lets through data of more rows than the header says,
    and those whose own checksum behind the rows is wrong or missing.

    Raises: Damaged.
    """
    file.seek(8)
    head, kind, rows = b"", b"", zlib.decompressobj()
    wanted, made = 0, 0
    while kind != b"IEND":
        left, kind = struct.unpack(">I4s", _exactly(file, 8))
        checksum = zlib.crc32(kind)
        while left:
            block = _exactly(file, min(left, BLOCK))
            checksum, left = zlib.crc32(block, checksum), left - len(block)
            if kind == b"IHDR" and not head:
                head, wanted = block, _unpacked(block)
            while kind == b"IDAT" and block and not rows.eof:
                made += len(rows.decompress(block, BLOCK))
                block = rows.unconsumed_tail
                if made > wanted:
                    raise Damaged("damaged: it has more pixels than its header says")
        if _exactly(file, 4) != struct.pack(">I", checksum):
            raise Damaged(f"damaged: the checksum of its {_letters(kind)} is wrong")
    if made < wanted or not rows.eof:
        raise Damaged("damaged: it has fewer pixels than its header says")


def _unpacked(head: bytes) -> int:
    """Bytes of a PNG's rows, each with the number of its filter; of all passes if interlaced."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", head)
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    starts = ADAM7 if interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, right, down in starts:
        across, rows = -(-(width - left) // right), -(-(height - top) // down)
        if across > 0:
            total += max(0, rows) * (1 + (across * bits + 7) // 8)
    return total


def check_jpeg(file: BinaryIO, pixels: int) -> None:
    """Its segments follow each other up to the end mark, in no more scans than `pixels` allow.

    Raises: Damaged.
    """
    if size_of(file) > LARGEST:
        raise Damaged(f"a JPEG of over {LARGEST} bytes")
    file.seek(0)
    content, at, scans = file.read(), 2, 0
    while True:
        found = MARKER.match(content, at)
        if found is None:
            raise Damaged(CUT if at >= len(content) else "damaged between its segments")
        at, marker = found.end(), content[found.end() - 1]
        if marker == 0xD9:
            return
        if marker == 0x01:
            continue
        if at + 2 > len(content):
            raise Damaged(CUT)
        at += max(2, int.from_bytes(content[at : at + 2], "big"))
        if marker == 0xDA:
            scans += 1
            if scans > SCANS or scans * pixels > SCANNED:
                raise Damaged(f"over {scans - 1} scans of {pixels} pixels would take too long")
            end = MARKER.search(content, at)
            if end is None:
                raise Damaged(CUT)
            at = end.start()


def check_gif(file: BinaryIO, pixels: int) -> None:  # noqa: ARG001
    """The first picture's data reach their end mark. Raises: Damaged."""
    first_gif(file)


def first_gif(file: BinaryIO) -> bytes:
    """The packed data of a GIF's first picture, in their blocks, without the end mark.

    Raises: Damaged.
    """
    file.seek(10)
    flags = _exactly(file, 3)[0]
    file.seek(_table(flags), 1)
    while (kind := _exactly(file, 1)) == b"!":
        _exactly(file, 1)
        _blocks(file)
    if kind != b",":
        raise Damaged("damaged: no picture where one is to begin")
    flags = _exactly(file, 9)[8]
    file.seek(_table(flags) + 1, 1)
    return _blocks(file)


def check_webp(file: BinaryIO, pixels: int) -> None:  # noqa: ARG001
    """It is as long as it says. Raises: Damaged."""
    file.seek(4)
    if size_of(file) < 8 + int.from_bytes(_exactly(file, 4), "little"):
        raise Damaged(CUT)


def check_bmp(file: BinaryIO, pixels: int) -> None:  # noqa: ARG001
    """It is as long as it says, if it says so. Raises: Damaged."""
    file.seek(2)
    if size_of(file) < int.from_bytes(_exactly(file, 4), "little"):
        raise Damaged(CUT)


CHECKS: dict[str, Callable[[BinaryIO, int], None]] = {
    "PNG": check_png,
    "JPEG": check_jpeg,
    "MPO": check_jpeg,
    "GIF": check_gif,
    "WEBP": check_webp,
    "BMP": check_bmp,
}
"""By Pillow's name of the format: given the open file and the pixels of its header."""


def _table(flags: int) -> int:
    """Bytes of a GIF's colour table."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _blocks(file: BinaryIO) -> bytes:
    found = bytearray()
    while length := _exactly(file, 1)[0]:
        found.append(length)
        found += _exactly(file, length)
    return bytes(found)


def _exactly(file: BinaryIO, count: int) -> bytes:
    found = file.read(count)
    if len(found) < count:
        raise Damaged(CUT)
    return found


def _letters(kind: bytes) -> str:
    """A chunk's name, though it be no letters."""
    return kind.decode("ascii") if kind.isalpha() else "chunk"
