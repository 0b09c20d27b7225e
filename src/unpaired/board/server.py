"""The pages by HTTP: with the standard library alone, as they are few and only read."""

from __future__ import annotations

import re
import secrets
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from typing import Any
from urllib.parse import urlsplit

from unpaired import __version__
from unpaired.board.pages import Pages, link_of
from unpaired.board.state import samples_of
from unpaired.web.listening import OWN

SECONDS = 30.0  # that a client may take to say what it wants
AT_ONCE = 512  # connections; those beyond are closed
LARGEST = 1 << 26  # bytes of a sample grid that is shown; ours have some million
RUN = re.compile(r"/run/([0-9a-f]{12})")
SAMPLE = re.compile(r"/run/([0-9a-f]{12})/samples/(step_\d{1,20}\.png)")

Runs = Callable[[], Mapping[str, Path]]


class Board(ThreadingHTTPServer):
    """Answers at a socket that listens already; `serve_forever` until interrupted."""

    daemon_threads = True

    def __init__(self, listening: socket, runs: Runs, every: float) -> None:
        """Args: runs: looked up anew for every page; every: seconds between two looks."""
        address = listening.getsockname()[:2]
        super().__init__(address, _Answer, bind_and_activate=False)
        self.socket.close()
        self.socket, self.server_address = listening, address
        self.runs, self.pages = runs, Pages(every)
        self.own = address[0] in OWN
        self.one_at_a_time = threading.Lock()  # which bounds the memory, and is no slower
        self.free = threading.BoundedSemaphore(AT_ONCE)

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, of which there are not too many: clients may say nothing."""
        if self.free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """What the thread does."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may leave while they are answered."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Answer(BaseHTTPRequestHandler):
    server: Board
    timeout = SECONDS
    server_version, sys_version = f"unpaired/{__version__}", ""

    def do_GET(self) -> None:
        if not self._meant_for_us():
            self._answer(HTTPStatus.FORBIDDEN, b"another host's name", "text/plain")
            return
        path = self.path.partition("?")[0]
        nonce = secrets.token_urlsafe(16)
        with (
            self.server.one_at_a_time
        ):  # made, but not sent: a client may read as slowly as it likes
            found = self._found(path, nonce)
        if isinstance(found, bytes):
            self._answer(HTTPStatus.OK, found, "image/png")
        elif found is not None:
            self._page(found, nonce)
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"not here", "text/plain")

    def _found(self, path: str, nonce: str) -> str | bytes | None:
        """A page, or a sample grid that lies in the run's own folder; None if there is none."""
        runs, pages = self.server.runs(), self.server.pages
        by_link = {link_of(folder): name for name, folder in runs.items()}
        if sample := SAMPLE.fullmatch(path):
            folder = runs.get(by_link.get(f"/run/{sample[1]}", ""))
            if folder is None or sample[2] not in samples_of(folder):
                return None
            return _plain_file(folder / "samples" / sample[2], folder)
        if path == "/" and len(runs) > 1:
            return pages.overview(runs, nonce)
        if path == "/" or (RUN.fullmatch(path) and path in by_link):
            name = by_link.get(path) or next(iter(runs))
            return pages.run(name, runs[name], nonce, alone=len(runs) == 1)
        return None

    do_HEAD = do_GET  # noqa: N815

    def _meant_for_us(self) -> bool:
        """A page of another site may lead its own name to this machine and read along."""
        try:
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        except ValueError:  # brackets that are not closed
            host = None
        return not self.server.own or host in OWN

    def _page(self, text: str, nonce: str) -> None:
        policy = (
            f"default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; "
            f"script-src 'nonce-{nonce}'; connect-src 'self'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        )
        more = {"Content-Security-Policy": policy}
        self._answer(
            HTTPStatus.OK, text.encode("utf-8", "replace"), "text/html; charset=utf-8", more
        )

    def _answer(
        self, status: HTTPStatus, content: bytes, kind: str, more: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(content))}
        headers |= {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        headers |= {"Referrer-Policy": "no-referrer", **(more or {})}
        for header, value in headers.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """The terminal is the user's; a page that renews itself would fill it."""


def _plain_file(path: Path, folder: Path) -> bytes | None:
    """Its content, if it is a file within `folder`; None else, or if it is gone meanwhile."""
    try:
        within = path.resolve(strict=True).is_relative_to(folder.resolve())
        # a link may lead anywhere
        fit = within and path.is_file() and path.stat().st_size <= LARGEST
        return path.read_bytes() if fit else None
    except OSError:
        return None
