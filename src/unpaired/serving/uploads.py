"""From a request to bytes worth decoding: the bounds of how many, how large and how slow."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterator

from starlette.requests import ClientDisconnect, Request

from unpaired.data.decode import UnreadableImage, measure
from unpaired.data.opening import Member
from unpaired.serving.refusing import Refused

SLOWEST = 30.0
"""Seconds that an upload may take, as it holds a place in the queue."""
DRAINED = 5.0
"""Seconds for which the rest of a refused upload is read, as browsers read no answer before."""


class Queue:
    """Counts the requests that are waiting or at work. Args: places: how many there may be."""

    def __init__(self, places: int) -> None:
        self.places, self.taken = places, 0

    @contextlib.contextmanager
    def place(self, seconds_each: float, at_once: int) -> Iterator[None]:
        """A place in the queue.

        Args: seconds_each, at_once: by which a client is told when to come back.
        Raises: Refused: all are taken.
        """
        if self.taken >= self.places:
            seconds = min(60, max(1, math.ceil(self.taken * seconds_each / at_once / 2)))
            raise Refused(
                429,
                "The server is busy with other pictures. Please try again in a moment.",
                {"Retry-After": str(seconds)},
            )
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


def check_length(request: Request, most: int) -> None:
    """By what the request says of itself. Raises: Refused."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or not length.isascii():
        raise Refused(400, "The upload's length can't be read.")
    if len(length) > 15 or int(length) > most:
        raise _too_large(most)


async def read(request: Request, most: int) -> bytes:
    """The body. Raises: Refused; ClientDisconnect."""
    content = bytearray()

    async def fill() -> None:
        async for piece in request.stream():
            if len(content) + len(piece) > most:
                raise _too_large(most)
            content.extend(piece)

    try:
        await asyncio.wait_for(fill(), SLOWEST)
    except asyncio.TimeoutError:
        raise Refused(408, f"The upload took more than {SLOWEST:g} seconds.") from None
    if not content:
        raise Refused(422, "There is no picture in the request: send the file as its body.")
    return bytes(content)


async def drain(request: Request, most: int) -> None:
    """Read what is left of a refused upload, holding none of it, for a bounded time and size.

    Else the connection is reset while the client still sends, and it never sees the answer.
    """
    if request.headers.get("expect", "").lower() == "100-continue":
        return  # it waits for our word before it sends

    async def forget() -> None:
        left = most
        async for piece in request.stream():
            left -= len(piece)
            if left < 0:
                return

    # a stream that was begun can't be read again, and that is as well
    with contextlib.suppress(asyncio.TimeoutError, ClientDisconnect, RuntimeError):
        await asyncio.wait_for(forget(), DRAINED)


async def size_of(content: bytes, most: int) -> tuple[int, int]:
    """(width, height) by the header, without decoding. Raises: Refused."""
    try:
        width, height = await asyncio.to_thread(measure, Member("the picture", content))
    except UnreadableImage as error:
        form = content.startswith(b"--") and b"Content-Disposition" in content[:1000]
        hint = " This is a form: send the file alone, as the request's body." if form else ""
        raise Refused(422, f"The picture can't be read: {error.reason}.{hint}") from None
    if width < 1 or height < 1:
        raise Refused(422, "The picture has no pixels.")
    if width * height > most:
        raise Refused(
            413,
            f"The picture has {width} x {height} pixels, {width * height / 1e6:.1f} million; "
            f"at most {most / 1e6:.1f} million are taken here.",
        )
    return width, height


def _too_large(most: int) -> Refused:
    return Refused(413, f"The file is too large; at most {most / 1e6:.1f} MB are taken here.")
