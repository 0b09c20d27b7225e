"""Which jobs a worker takes out of the queue at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from queue import Empty
from typing import Any, Protocol

from litserve.loops.simple_loops import BatchedLoop
from litserve.utils import LitAPIStatus, LoopResponseType

from unpaired.serving.jobs import TOO_LATE, Describe, Job

TOGETHER = 0.01
"""Seconds that a picture waits for others to join it."""
LOOK_UP = 1.0
"""Seconds after which a worker without work sees whether its server is still there."""


class Served(Protocol):
    """What the loop asks of the worker that it feeds."""

    max_batch_size: int
    batch_timeout: float
    keeper: int | None

    def alike(self, one: Job | Describe, other: Job | Describe) -> bool:
        """Whether two can be in one batch."""


class Loop(BatchedLoop):  # type: ignore[misc]
    """LitServe's batching loop, but it waits in the queue, keeps apart what can't go together,
    leaves out what nobody waits for any more, and ends when the server has."""

    kept: Any = None
    """Taken from the queue, but not alike those before it: the next batch begins with it."""

    def get_batch_requests(
        self, lit_api: Served, request_queue: Any, transport: Any
    ) -> tuple[list[Any], list[Any]]:
        """([(0, uid, job)], []), at most a batch, all alike."""
        first, self.kept = self.kept or self._take(request_queue, LOOK_UP, transport), None
        if first is None:
            _end_with_server(lit_api.keeper)
            return [], []
        found, until = [first], time.monotonic() + lit_api.batch_timeout
        while len(found) < lit_api.max_batch_size:
            following = self._take(request_queue, max(0.0, until - time.monotonic()), transport)
            if following is None:
                break
            if not lit_api.alike(first[2], following[2]):
                self.kept = following
                break
            found.append(following)
        return found, []

    def _take(self, queue: Any, seconds: float, transport: Any) -> Any:
        """The next whose time has not passed; None: there is none."""
        while True:
            try:
                number, uid, _, job = queue.get(timeout=seconds)
            except Empty:
                return None
            except (EOFError, OSError):  # the queue is gone; the server says so
                raise SystemExit(1) from None
            if time.monotonic() < job.deadline:
                self._tell(transport, uid, (), LitAPIStatus.START)
                return number, uid, job
            self._tell(transport, uid, TOO_LATE, LitAPIStatus.OK)

    def _tell(self, transport: Any, uid: str, what: object, status: LitAPIStatus) -> None:
        self.put_response(transport, 0, uid, what, status, LoopResponseType.REGULAR)


def _end_with_server(keeper: int | None) -> None:
    """A server that was killed could not end what it began."""
    server = multiprocessing.parent_process()
    if server is None or server.is_alive():
        return
    if keeper is not None:
        os.kill(keeper, signal.SIGTERM)
    os._exit(1)
