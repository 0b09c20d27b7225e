"""What every request and every answer of the server passes through."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unpaired.web.answering import Answering, from_another_site

LONGEST = 64 * 1024
"""Bytes of a request's body; a participant sends a few hundred."""
MTURK = ("https://www.mturk.com", "https://workersandbox.mturk.com")
HEADERS = {
    b"cache-control": b"no-store",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",  # an address is a key
}
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; "
    "base-uri 'none'; frame-ancestors "
)


class Guard:
    """Refuses bodies that are too long (413) or of a senseless length (400) and forms that another
    site sends (403), and puts the same headers on every answer, unless it has its own.

    Keys are in addresses and there are no cookies, so another site can't act for a participant
    whose key it doesn't know; that it can't send forms at all is the second wall.

    A body is read before the application sees any of the request, so that what is refused has
    done nothing, whether or not the application would have read it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {**HEADERS, b"content-security-policy": _policy(scope["path"])}
        answer = Answering(send, headers)
        if refusal := _refusal(scope):
            await answer.refuse(*refusal)
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            piece, more = message.get("body", b""), message.get("more_body", False)
            if len(body) + len(piece) > LONGEST:
                await answer.refuse(413, "too long")
                return
            body += piece
        unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return unread.pop() if unread else await receive()

        try:
            await self.app(scope, again, answer)
        except Exception:
            if not answer.began:  # or it would be answered further out, without the headers
                await answer.refuse(500, "something went wrong")
            raise


def _policy(path: str) -> bytes:
    """MTurk shows the whole study within its own page, and nobody else may show anything so."""
    framed = path in ("/", "/begin") or path.startswith("/s/")
    return (POLICY + (" ".join(MTURK) if framed else "'none'")).encode()


def _refusal(scope: Scope) -> tuple[int, str] | None:
    """Why a request is refused by its head alone: (status, reason)."""
    if from_another_site(scope):
        return 403, "sent by another site"
    lengths = {value for name, value in scope["headers"] if name == b"content-length"} or {b"0"}
    length = lengths.pop()
    if lengths or not length.isdigit():
        return 400, "no length that can be read"
    if len(length) > 9 or int(length) > LONGEST:  # Python converts no number of 5000 digits
        return 413, "too long"
    return None
