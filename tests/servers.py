"""A web server of one file that behaves as servers in the wild do."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep


@dataclass
class Behaviour:
    """What it serves, and how.

    Attributes:
        ranges: "yes"; "no": always all of the file; "wrong": another part than was asked for;
            "bare": a part without saying which; "unmarked": without tag and date;
            "416": no part is ever right.
        if_range: it is heeded; else parts are sent of whatever lies there now.
        cuts: after so many bytes the connection ends, one number per answer; then no more.
        length: Content-Length is sent. chunked: instead of it, chunks.
        pause: seconds between pieces of 1000 bytes.
        answers: status codes before the first that is meant.
        asked: the Range of every request; "" without one.
    """

    content: bytes
    etag: str | None = '"1"'
    modified: str | None = None
    ranges: str = "yes"
    if_range: bool = True
    cuts: list[int] = field(default_factory=list)
    length: bool = True
    chunked: bool = False
    pause: float = 0.0
    kind: str = "application/zip"
    answers: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextlib.contextmanager
def serving(how: Behaviour) -> Iterator[str]:
    """Its address. /file.zip is the file, /moved.zip leads to it, /loop.zip to itself."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            if self.path in ("/moved.zip", "/loop.zip", "/disk.zip", "/ftp.zip"):
                to = {"/moved.zip": "/file.zip", "/disk.zip": "file:///etc/passwd"}
                to["/ftp.zip"] = "ftp://127.0.0.1:9/file.zip"
                self.send_response(302)
                self.send_header("Location", to.get(self.path, self.path))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            wanted = self.headers.get("Range", "")
            how.asked.append(wanted)
            if how.answers and (status := how.answers.pop(0)) != 200:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            first = int(wanted[6:].partition("-")[0]) if wanted else 0
            mark = self.headers.get("If-Range")
            right = mark in (how.etag, how.modified) and not (mark or "").startswith("W/")
            changed = how.if_range and mark is not None and not right
            if wanted and not changed and (how.ranges == "416" or first >= len(how.content)):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(how.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            partial = bool(wanted) and not changed and how.ranges != "no"
            if how.ranges == "wrong" and partial:
                first = max(0, first - 7)
            self.send_response(206 if partial else 200)
            body = how.content[first:] if partial else how.content
            for name, value in (("ETag", how.etag), ("Last-Modified", how.modified)):
                if value and not (partial and how.ranges == "unmarked"):
                    self.send_header(name, value)
            self.send_header("Content-Type", how.kind)
            if partial and how.ranges != "bare":
                total = len(how.content)
                self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
            if how.chunked:
                self.send_header("Transfer-Encoding", "chunked")
            elif how.length:
                self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.pieces(body)

        def pieces(self, body: bytes) -> None:
            cut = how.cuts.pop(0) if how.cuts else len(body)
            size = 1000 if how.pause else 1 << 16
            with contextlib.suppress(ConnectionError):
                for at in range(0, min(cut, len(body)), size):
                    piece = body[at : min(at + size, cut)]
                    head = f"{len(piece):x}\r\n".encode() if how.chunked else b""
                    self.wfile.write(head + piece + (b"\r\n" if how.chunked else b""))
                    self.wfile.flush()
                    sleep(how.pause)
                if how.chunked and cut >= len(body):
                    self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
