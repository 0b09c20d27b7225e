"""`unpaired serve` as a process of its own, and what tests ask of it."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress

import httpx
import psutil

from tests.started import Started


class Server(Started):
    """With an HTTP client, and a hand on its worker."""

    def __init__(self, *words: object, token: str | None = None, **environment: str) -> None:
        if token:
            environment["UNPAIRED_TOKEN"] = token
        super().__init__("serve", *words, health="/health/ready", **environment)
        head = {"Authorization": f"Bearer {token}"} if token else {}
        self.web = httpx.Client(base_url=self.address, headers=head, timeout=60)
        self.many = ThreadPoolExecutor(16)

    def worker(self) -> psutil.Process:
        """The process that translates."""
        return self.children("spawn_main")[0]

    def children(self, word: str) -> list[psutil.Process]:
        """Those right below it in whose command the word stands."""
        assert self.process is not None
        found = []
        for one in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):
                if word in " ".join(one.cmdline()):
                    found.append(one)
        return found

    def family(self) -> list[psutil.Process]:
        """All processes below it."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def send(self, content: bytes, **query: str) -> Future:
        """`translate`, without waiting for the answer."""
        return self.many.submit(self.translate, content, **query)

    def translate(self, content: bytes, **query: str) -> httpx.Response:
        return self.web.post("/v1/translate", content=content, params=query)

    @contextmanager
    def frozen(self) -> Iterator[psutil.Process]:
        """The worker does nothing meanwhile."""
        worker = self.worker()
        worker.suspend()
        try:
            yield worker
        finally:
            if worker.is_running():
                worker.resume()

    def health(self) -> dict:
        return self.web.get("/health/live").json()

    def until(self, **wanted: object) -> None:
        """Wait until the health says so."""
        end = time.monotonic() + 30
        while not wanted.items() <= (told := self.health()).items():
            assert time.monotonic() < end, told
            time.sleep(0.02)

    def metric(self, name: str, **labels: str) -> float:
        inside = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        line = f"{name}{{{inside}}} " if labels else f"{name} "
        text = self.web.get("/metrics").text
        return sum(float(one.split()[-1]) for one in text.splitlines() if one.startswith(line))

    def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def kill(self) -> None:
        self.many.shutdown(wait=False, cancel_futures=True)
        super().kill()


def computed(worker: psutil.Process) -> float:
    """Seconds so far."""
    return sum(worker.cpu_times()[:2])


def at_work(worker: psutil.Process, since: float) -> None:
    """Wait until it has `computed` more than that, which idling takes a minute for."""
    end = time.monotonic() + 30
    while computed(worker) < since + 0.1:
        assert time.monotonic() < end, "the worker does not work"
        time.sleep(0.01)


def gone(processes: list[psutil.Process], seconds: float = 10) -> bool:
    """Whether all have ended by then."""
    return not psutil.wait_procs(processes, timeout=seconds)[1]
