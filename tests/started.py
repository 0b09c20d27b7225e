"""A verb that serves on the web, as a process of its own, for tests from outside."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Started:
    """`python -m unpaired WORDS --port N`, started and killed as often as wanted.

    Args: health: the address that answers 200 once it can be used.
    """

    def __init__(self, *words: object, health: str, **environment: str) -> None:
        self.words, self.ready_at, self.environment = words, health, environment
        self.port = free_port()
        self.process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "unpaired", *map(str, self.words)]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **self.environment},
        )

    def wait(self, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.address}{self.ready_at}", timeout=2)
                return
            assert time.monotonic() < until, "the server does not answer"
            assert self.process is not None
            assert self.process.poll() is None, "the server ended"
            time.sleep(0.05)

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def __enter__(self):
        self.start()
        try:
            self.wait()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
