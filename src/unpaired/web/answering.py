"""Headers that every answer has, and refusals that no application sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import Message, Scope, Send

Headers = Mapping[bytes, bytes]


class Answering:
    """ASGI's `send`, putting the same headers on an answer, unless it has its own.

    Attributes:
        began: whether an answer has begun; then no other can be given.
    """

    def __init__(self, send: Send, headers: Headers) -> None:
        self.send, self.headers, self.began = send, headers, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.began = True
            own = {name.lower() for name, _ in message["headers"]}
            added = [pair for pair in self.headers.items() if pair[0] not in own]
            message["headers"] = [*message["headers"], *added]
        await self.send(message)

    async def refuse(
        self, status: int, why: str, kind: bytes = b"text/plain", more: Headers | None = None
    ) -> None:
        """Answer at once, and close: what else the client sends is not read."""
        text = why.encode()
        head = [(b"content-type", kind), (b"content-length", b"%d" % len(text))]
        head += [(b"connection", b"close"), *(more or {}).items()]
        await self({"type": "http.response.start", "status": status, "headers": head})
        await self({"type": "http.response.body", "body": text})


def from_another_site(scope: Scope) -> bool:
    """Whether another site's page made a browser send this, other than by a link."""
    told: dict[Any, Any] = dict(scope["headers"])
    site = told.get(b"sec-fetch-site", b"none")
    return scope["method"] not in ("GET", "HEAD") and site not in (b"same-origin", b"none")
