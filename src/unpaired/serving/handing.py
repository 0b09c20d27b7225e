"""Jobs through LitServe's queue to whichever worker takes them, and answers back."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty
from typing import Any

from litserve import LitServer
from litserve.utils import LitAPIStatus

from unpaired.serving.batching import LOOK_UP
from unpaired.serving.jobs import BROKEN, TOO_LATE, TOO_LONG, WORKER_DIED, Answer, Describe, Job


@dataclass
class Slot:
    """Where LitServe puts what a worker says of a job (its `ResponseBufferItem`, with a clock)."""

    job: Job | Describe
    event: asyncio.Event = field(default_factory=asyncio.Event)
    response: Any = None
    response_queue: None = None
    begun: float | None = None
    _worker: int | None = None

    @property
    def worker_id(self) -> int | None:
        """The worker that took the job."""
        return self._worker

    @worker_id.setter
    def worker_id(self, worker: int) -> None:
        self._worker, self.begun = worker, time.monotonic()


class Desk:
    """Where jobs are handed over, and waited for.

    Args:
        path: of LitServe's queue.
        seconds: that a worker is given for what it has begun.
        stop: called with a worker that took longer.
    """

    def __init__(
        self, server: LitServer, path: str, seconds: float, stop: Callable[[int], None]
    ) -> None:
        self.server, self.path, self.seconds, self.stop = server, path, seconds, stop

    async def ask(self, job: Job | Describe) -> Answer:
        """The answer of a worker, or that there is none in time."""
        uid, slot = uuid.uuid4().hex, Slot(job)
        self.server.response_buffer[uid] = slot
        try:
            await asyncio.to_thread(self._put, uid, job)
            while not slot.event.is_set():
                until = slot.begun + self.seconds if slot.begun else job.deadline
                left = until - time.monotonic()
                if left <= 0:
                    return self._give_up(slot)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(slot.event.wait(), left)
        finally:
            self.server.response_buffer.pop(uid, None)
        response, status = slot.response
        return response if status == LitAPIStatus.OK else BROKEN

    def _put(self, uid: str, job: Job | Describe) -> None:
        self._queue().put((0, uid, time.monotonic(), job))

    def _queue(self) -> Any:
        return self.server._get_request_queue(self.path)

    async def put_again(self) -> None:
        """Put all jobs that no worker has begun into the queue anew.

        The queue may have handed one to a worker that was dead already, and goes on doing so until
        the look-up that the dead one began is over. Who is handed a job twice answers it twice, and
        the second answer is let go.
        """
        await asyncio.sleep(1.2 * LOOK_UP)
        await asyncio.to_thread(_empty, self._queue())
        for uid, slot in list(self.server.response_buffer.items()):
            if slot.worker_id is None and not slot.event.is_set():
                await asyncio.to_thread(self._put, uid, slot.job)

    def _give_up(self, slot: Slot) -> Answer:
        if slot.worker_id is None:
            return TOO_LATE
        self.stop(slot.worker_id)
        return TOO_LONG

    def tell(self, whom: Callable[[Slot], bool]) -> None:
        """Those who wait for what won't come any more."""
        for slot in self.server.response_buffer.values():
            if whom(slot) and not slot.event.is_set():
                slot.response = (WORKER_DIED, LitAPIStatus.OK)
                slot.event.set()


def _empty(queue: Any) -> None:
    with contextlib.suppress(Empty):
        for _ in range(queue.qsize()):
            queue.get_nowait()
