"""Web servers of a folder, on this machine: one that knows byte ranges and one that doesn't."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextlib.contextmanager
def served(folder: Path, ranges: bool = True) -> Iterator[tuple[str, list[str]]]:
    """Its address, and what was asked for: "GET /a.tar bytes=0-99".

    While a file NAME.fail lies in the folder, NAME is refused with 503 as often as it says.
    """
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            wanted = self.headers.get("Range", "")
            asked.append(f"{self.command} {self.path} {wanted}".strip())
            file = folder / self.path.lstrip("/")
            fail = Path(f"{file}.fail")
            if body and fail.exists() and (left := int(fail.read_text())):
                fail.write_text(str(left - 1))
                return self.send(503, b"", body)
            if not file.is_file():
                return self.send(404, b"", body)
            content, status, headers = (
                file.read_bytes(),
                200,
                {"ETag": f'"{file.stat().st_mtime_ns}"'},
            )
            if ranges:
                headers["Accept-Ranges"] = "bytes"
                if wanted.startswith("bytes="):
                    first, _, last = wanted[6:].partition("-")
                    end = min(int(last), len(content) - 1) if last else len(content) - 1
                    headers["Content-Range"] = f"bytes {first}-{end}/{len(content)}"
                    content, status = content[int(first) : end + 1], 206
            return self.send(status, content, body, headers)

        def send(self, status: int, content: bytes, body: bool, headers=None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                with contextlib.suppress(ConnectionError):  # who reads may stop anywhere
                    self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
