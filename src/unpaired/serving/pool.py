"""The web server's side of the workers: jobs out, answers in, and a watch over both."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from litserve import LitServer
from litserve.server import response_queue_to_buffer
from litserve.utils import WorkerSetupStatus

from unpaired.serving.handing import Desk
from unpaired.serving.jobs import TOO_LATE, Answer, Describe, Job, Model
from unpaired.serving.settings import Settings
from unpaired.serving.worker import MISTAKE, Worker

DEATHS = 5
"""Workers that may die one after the other, with no picture translated in between."""
GLANCE = 0.1
"""Seconds between looks at workers that are starting."""


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
        self.desk = Desk(self.server, self.api.api_path, settings.timeout, self._stop_worker)
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
        before = set(multiprocessing.active_children())
        self.manager = self.server._init_manager(1)
        (self.keeper,) = set(multiprocessing.active_children()) - before
        self.api.keeper = self.keeper.pid
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
        reader.add_done_callback(lambda _: self._queue_ended())
        loop.add_reader(self.keeper.sentinel, self._queue_ended)
        for index in range(self.settings.workers):
            self._watch(index)
        try:
            yield
        finally:
            self._ending = True
            for process in [self.keeper, *self.server.inference_workers]:
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
            answer = await self.desk.ask(job)
        finally:
            self._permits.release()
        if answer.ok:
            self._in_a_row = 0
        if answer.batch:
            self.seconds += 0.2 * (answer.seconds / answer.batch - self.seconds)
        return answer

    def _stop_worker(self, index: int) -> None:
        self._stopped.add(index)
        self.server.inference_workers[index].kill()

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
            told = await self.desk.ask(Describe(time.monotonic() + self.settings.timeout))
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
        self.desk.tell(lambda slot: slot.worker_id == index)
        if not self.keeper.is_alive():  # the worker ended for want of a queue
            return
        if self._ending:
            return
        self._task(self.desk.put_again())
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

    def _queue_ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self.keeper.sentinel)
        if not self._ending:
            _say("the process that holds the queue has ended; giving up")
            self._ending = True
            self.desk.tell(lambda _: True)
            self._end(1)

    def _end(self, code: int) -> None:
        self.fatal = code
        self.on_fatal()


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    return f"signal {-code}"


def _say(text: str) -> None:
    print(f"unpaired serve: {text}", file=sys.stderr, flush=True)
