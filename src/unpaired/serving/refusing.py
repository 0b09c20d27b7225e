"""Requests that are turned away: by whom they are sent, and with which headers all are answered."""

from __future__ import annotations

import hmac
import json

from starlette.types import ASGIApp, Receive, Scope, Send

from unpaired.web.answering import Answering, Headers, from_another_site

HEADERS = {
    b"cache-control": b"no-store",
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        b"media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        b"frame-ancestors 'none'"
    ),
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(self), microphone=(), geolocation=()",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
OPEN = ("/", "/health/live", "/health/ready", "/openapi.json", "/favicon.ico")
"""What needs no token, besides /static/: nothing in it was sent by or belongs to anyone."""


class Refused(Exception):  # noqa: N818 - the request is at fault
    """A request that is answered with `status` and a sentence."""

    def __init__(self, status: int, why: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.headers = status, why, headers or {}


def as_json(why: str) -> str:
    """The body of every refusal."""
    return json.dumps({"error": why})


class Doorkeeper:
    """Turns away what another site sends (403) or what lacks the token (401), before anything of it
    is read, and puts the same headers on every answer.

    Other sites can read nothing here, as no header allows them to; that they can't make a browser
    send anything either keeps them from using the machine. Nor may a name of theirs that suddenly
    leads here (DNS rebinding) turn their pages into ours.

    Args: names: the only ones by which it is to be called; none: by any.
    """

    def __init__(self, app: ASGIApp, token: str | None, names: tuple[str, ...] = ()) -> None:
        self.app, self.token, self.names = app, token, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = Answering(send, HEADERS)

        async def refuse(status: int, why: str, more: Headers | None = None) -> None:
            await answer.refuse(status, as_json(why), b"application/json", more)

        if from_another_site(scope):
            await refuse(403, "This was sent by another site.")
        elif self.names and name_in(scope) not in self.names:
            await refuse(
                403, "Without a token this server answers only as localhost; start it with one."
            )
        elif not self._may(scope):
            challenge = {b"www-authenticate": b"Bearer"}
            await refuse(401, "A token is needed, and this is not it.", challenge)
        else:
            try:
                await self.app(scope, receive, answer)
            except Exception:
                if not answer.began:
                    await refuse(500, "Something went wrong. The server's log says what.")
                raise

    def _may(self, scope: Scope) -> bool:
        path = scope["path"]
        if self.token is None or path in OPEN or path.startswith("/static/"):
            return True
        given = dict(scope["headers"]).get(b"authorization", b"")
        kind, _, token = given.partition(b" ")
        same = hmac.compare_digest(token.strip(), self.token.encode())
        return same and kind.lower() == b"bearer"


def name_in(scope: Scope) -> str:
    """The host that a request is addressed to, without the port."""
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
