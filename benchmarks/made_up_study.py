"""A study of made-up pictures, served by a process of its own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from unpaired.study.create import create_study
from unpaired.study.design import PRESETS
from unpaired.study.sources import RGB, Side


def make(folder: Path, *, pictures: int = 80, size: int = 256, **changed: object) -> Path:
    """The preset of the paper, two algorithms, noise in place of pictures."""
    rng = np.random.default_rng(0)

    def noise() -> RGB:
        return rng.integers(0, 256, (size, size, 3), dtype=np.uint8)

    names = [f"{i:03d}" for i in range(pictures)]
    fakes = {arm: dict.fromkeys(names, noise) for arm in ("a", "b")}
    side = Side(dict.fromkeys(names, noise), fakes)
    design = replace(PRESETS["cyclegan2017"], **changed)  # type: ignore[arg-type]
    create_study(folder, {"": side}, design).close()
    return folder


@contextlib.contextmanager
def served(study: Path) -> Iterator[str]:
    """The address of a study that is served until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "unpaired", "study", "serve", str(study), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/health", timeout=2)
                break
            if server.poll() is not None or time.monotonic() > until:
                raise SystemExit("the server does not answer")
            time.sleep(0.05)
        yield address
    finally:
        server.terminate()
        server.wait()
