"""The web server's side of the workers: jobs out, answers in, and a watch over both."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from queue import Empty
from typing import Any

import psutil
from litserve import LitServer
from litserve.server import response_queue_to_buffer
from litserve.utils import LitAPIStatus, WorkerSetupStatus

from unpaired.serving.jobs import (
    BROKEN,
    TOO_LATE,
    TOO_LONG,
    WORKER_DIED,
    Answer,
    Describe,
    Job,
    Model,
)
from unpaired.serving.settings import Settings
from unpaired.serving.worker import LOOK_UP, MISTAKE, Worker

DEATHS = 5
"""Workers that may die one after the other, with no picture translated in between."""
GLANCE = 0.1
"""Seconds between looks at workers that are starting."""


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


class Pool:
    """LitServe's worker processes and the queue to them.

    No more jobs are handed over than keep the workers busy; the others wait here, where they cost
    nothing to give up. What a worker has begun it is given `timeout` seconds for, then it is killed
    and started again: nothing else ends a computation. A worker that dies is noticed at once by its
    process handle, whoever waited for it is told, and it is started again, up to DEATHS times in a
    row, each with a line and each later than the last.

    Attributes:
        models: what is served, by name; empty until a worker has loaded it.
        fatal: exit code, once the pool can't go on.
        on_fatal: called then.
        on_death: called when a worker ended though nobody wanted it.
        on_ready: called when the first worker has loaded what is served.
    """

    def __init__(self, sources: dict[str, str], settings: Settings) -> None:
        self.settings = settings
        self.api = Worker(
            sources,
            batch=settings.batch,
            workers=settings.workers,
            device=settings.device,
            precision=settings.precision,
            backend=settings.backend,
        )
        self.server = LitServer(
            self.api,
            accelerator="cpu",  # the worker chooses its device, as every verb does
            devices=1,
            workers_per_device=settings.workers,
            timeout=False,  # ours
            restart_workers=True,  # so that workers say what they begin; the restarting is ours
        )
        self.models: dict[str, Model] = {}
        self.ready: set[int] = set()
        self.fatal: int | None = None
        self.on_fatal: Callable[[], None] = lambda: None
        self.on_death: Callable[[], None] = lambda: None
        self.on_ready: Callable[[], None] = lambda: None
        self.seconds = 1.0  # that a picture took lately
        self._in_a_row = 0
        self._stopped: set[int] = set()  # killed by us
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ending = False
        self._permits = asyncio.Semaphore(2 * settings.workers * settings.batch)

    def start(self) -> None:
        """Start the queue's process and the workers; before there are threads or an event loop."""
        before = set(psutil.Process().children())
        self.manager = self.server._init_manager(1)
        (keeper,) = set(psutil.Process().children()) - before
        self.api.keeper = keeper.pid
        self.server.inference_workers = self.server.launch_inference_worker(self.api)

    def stop(self) -> None:
        """End the workers, then the queue. Bounded: whoever doesn't listen is killed."""
        self._ending = True
        self.server._transport.close(send_sentinel=False)
        for process in self.server.inference_workers:
            process.terminate()
        for process in self.server.inference_workers:
            process.join(timeout=5)
            if process.is_alive():
                process.kill()
                process.join()
        self.manager.shutdown()

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """While this is open, answers come in and the workers are looked after."""
        loop = asyncio.get_running_loop()
        reader = loop.create_task(
            response_queue_to_buffer(
                self.server._transport, self.server.response_buffer, 0, self.server.litapi_connector
            )
        )
        reader.add_done_callback(lambda _: self._reader_ended())
        for index in range(self.settings.workers):
            self._watch(index)
        try:
            yield
        finally:
            self._ending = True
            for process in self.server.inference_workers:
                loop.remove_reader(process.sentinel)
            for task in [reader, *self._tasks]:
                task.cancel()
            await asyncio.gather(reader, *self._tasks, return_exceptions=True)

    @property
    def is_ready(self) -> bool:
        """Whether a picture that comes now would be translated."""
        return bool(self.models and self.ready) and self.fatal is None

    async def translate(self, job: Job) -> Answer:
        """The answer, which is on its way to no one if the caller is cancelled meanwhile."""
        seconds = job.deadline - time.monotonic()
        try:
            await asyncio.wait_for(self._permits.acquire(), seconds)
        except asyncio.TimeoutError:
            return TOO_LATE
        # a task of its own: the worker goes on even if the caller doesn't
        answer: Answer = await asyncio.shield(self._task(self._carry(job)))
        return answer

    async def _carry(self, job: Job) -> Answer:
        try:
            answer = await self._ask(job)
        finally:
            self._permits.release()
        if answer.ok:
            self._in_a_row = 0
        if answer.batch:
            self.seconds += 0.2 * (answer.seconds / answer.batch - self.seconds)
        return answer

    async def _ask(self, job: Job | Describe) -> Answer:
        uid, slot = uuid.uuid4().hex, Slot(job)
        self.server.response_buffer[uid] = slot
        try:
            await asyncio.to_thread(self._put, uid, job)
            while not slot.event.is_set():
                until = slot.begun + self.settings.timeout if slot.begun else job.deadline
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
        return self.server._get_request_queue(self.api.api_path)

    async def _put_again(self) -> None:
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
        self._stopped.add(slot.worker_id)
        self.server.inference_workers[slot.worker_id].kill()
        return TOO_LONG

    def _task(self, coroutine: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _watch(self, index: int) -> None:
        loop = asyncio.get_running_loop()
        process = self.server.inference_workers[index]
        loop.add_reader(process.sentinel, self._worker_ended, index)
        self._task(self._until_ready(index, process))

    async def _until_ready(self, index: int, process: Any) -> None:
        key = f"{self.api.api_path.rsplit('/', 1)[-1]}_{index}"
        while process.is_alive():
            status = await asyncio.to_thread(self.server.workers_setup_status.get, key)
            if status == WorkerSetupStatus.READY:
                break
            await asyncio.sleep(GLANCE)
        else:
            return
        if not self.models:
            told = await self._ask(Describe(time.monotonic() + self.settings.timeout))
            self.models = {model.name: model for model in told.models}
            if self.models:
                self.on_ready()
        if process.is_alive():
            self.ready.add(index)

    def _worker_ended(self, index: int) -> None:
        loop = asyncio.get_running_loop()
        process = self.server.inference_workers[index]
        loop.remove_reader(process.sentinel)
        process.join()
        self.ready.discard(index)
        for slot in self.server.response_buffer.values():
            if slot.worker_id == index and not slot.event.is_set():
                slot.response = (WORKER_DIED, LitAPIStatus.OK)
                slot.event.set()
        if self._ending:
            return
        self._task(self._put_again())
        if process.exitcode == MISTAKE:
            self._end(MISTAKE)
            return
        wait = 0.0
        if index in self._stopped:
            self._stopped.discard(index)
            _say(f"worker {index} took over {self.settings.timeout:g} s and was killed")
        else:
            self.on_death()
            self._in_a_row += 1
            _say(f"worker {index} ended unexpectedly ({_how(process.exitcode)})")
            if self._in_a_row >= DEATHS:
                _say(f"{DEATHS} workers ended in a row; giving up")
                self._end(1)
                return
            wait = 2.0 ** (self._in_a_row - 1) - 1
        _say(f"worker {index} is started again" + (f" in {wait:g} s" if wait else ""))
        loop.call_later(wait, self._restart, index)

    def _restart(self, index: int) -> None:
        if not self._ending:
            self.server.inference_workers[index] = self.server.launch_single_inference_worker(
                self.api, index
            )
            self._watch(index)

    def _reader_ended(self) -> None:
        if not self._ending:
            _say("the process that holds the queue has ended; giving up")
            self._end(1)

    def _end(self, code: int) -> None:
        self.fatal = code
        self.on_fatal()


def _empty(queue: Any) -> None:
    with contextlib.suppress(Empty):
        for _ in range(queue.qsize()):
            queue.get_nowait()


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    return f"signal {-code}"


def _say(text: str) -> None:
    print(f"unpaired serve: {text}", file=sys.stderr, flush=True)
