"""One request, with a bound on how long its answer may take to begin."""

from __future__ import annotations

import http.client
import queue
import threading
import urllib.error
import urllib.request
from typing import IO

from unpaired.errors import UserError, without_credentials


class NoUse(UserError):  # noqa: N818 - what asking again would be
    """What another try wouldn't change."""


class _OnlyWeb(urllib.request.HTTPRedirectHandler):
    """Follows redirections to http and https; urllib's own would go on to FTP."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.lower().startswith(("http://", "https://")):
            told = f"it leads to {without_credentials(newurl)[:200]}, which is no web address"
            raise urllib.error.HTTPError(req.full_url, code, told, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


OPENER = urllib.request.build_opener(_OnlyWeb)


def answer_of(url: str, headers: dict[str, str], patience: float) -> http.client.HTTPResponse:
    """The start of what the server sends.

    A look-up of names, a host of many addresses, redirections and headers that trickle in have a
    time-out each, one after the other; here all of them together have `patience` seconds.

    Raises: OSError, http.client.HTTPException.
    """
    answers: queue.SimpleQueue[http.client.HTTPResponse | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            request = urllib.request.Request(url, headers=headers)
            answers.put(OPENER.open(request, timeout=patience))
        except (OSError, http.client.HTTPException, ValueError) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=patience)
    except queue.Empty:
        raise TimeoutError(f"no answer in {patience:.0f} seconds") from None
    if isinstance(answer, ValueError):  # urllib's and http.client's word for a crooked address
        raise NoUse(str(answer))
    if isinstance(answer, urllib.error.URLError) and isinstance(answer.reason, Exception):
        raise answer.reason
    if isinstance(answer, Exception):
        raise answer
    return answer
