"""Batches for training: a pure function of (seed, step, rank), whatever workers and restarts."""

from __future__ import annotations

import contextlib
import copy
import multiprocessing
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.context import BaseContext

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from unpaired.data.conversions import to_unit
from unpaired.data.decode import Pixels
from unpaired.data.domains import Domain
from unpaired.data.images import DomainName, ImageConfig, need_one_geometry
from unpaired.data.memory import Budget, free_memory
from unpaired.data.source import Skipped, Source
from unpaired.errors import UserError

AHEAD = 4  # batches that are made while earlier ones are trained on
Skip = Callable[[str, str], None]
Made = tuple[dict[str, Tensor] | UserError, list[Skipped]]
"""A batch, or why there is none, and what was found unreadable on the way."""


class Batches:
    """Endless batches of two domains.

    Unpaired, each has its own order and chance. Paired, pictures at the same index come together,
    brought to one size and then cropped, mirrored and turned alike.

    Pictures are kept decoded and resized while they fit in `cache_share` of the memory that is free
    at the start (each worker process has its own part of it). A file that turns out to be
    unreadable is reported once through `on_skip`, in the calling thread, and the next readable one
    stands in for it; a pair of which one is unreadable is no pair.
    """

    def __init__(
        self,
        x: Domain,
        y: Domain,
        images: ImageConfig,
        *,
        size: int,
        batch: int,
        seed: int,
        workers: int = 0,
        cache_share: float = 0.25,
        rank: int = 0,
        ranks: int = 1,
        neighbours: int = 1,
        on_skip: Skip | None = None,
        paired: bool = False,
    ) -> None:
        """Args:
            batch: pictures of each domain in a batch of this process.
            rank, ranks: of this process; those of a run go through the pictures together.
            neighbours: how many of them share this machine's memory.

        Raises: UserError if `paired` and the geometry of X and Y differs in `images`.
        """
        self.x, self.y = x, y
        self.size, self.batch, self.seed = size, batch, seed
        self.workers, self.rank, self.ranks = workers, rank, ranks
        self.on_skip, self.reported = on_skip, set[tuple[str, str]]()
        budget = Budget(cache_share * free_memory() / (max(1, workers) * neighbours))
        self.turn: contextlib.AbstractContextManager[object] = threading.Lock()  # of the sources
        domains: list[dict[DomainName, Domain]] = [{"x": x}, {"y": y}]
        if paired:
            need_one_geometry(images)
            domains = [{"x": x, "y": y}]
        self.sources = [Source(together, images, size, budget) for together in domains]
        self.steps_per_epoch = -(-max(len(x), len(y)) // (batch * ranks))

    def place(self, step: int) -> tuple[int, int]:
        """Where `step` begins: its epoch, and how many pictures of that were shown before."""
        epoch, place = divmod(step, self.steps_per_epoch)
        return epoch, place * self.batch * self.ranks

    def step_at(self, epoch: int, shown: int) -> int:
        """The step that begins at a `place`, of batches of whatever size, or as little before."""
        return epoch * self.steps_per_epoch + shown // (self.batch * self.ranks)

    def at(self, step: int) -> dict[str, Tensor]:
        """The batch of `step`: {"x": (batch, C, size, size) float32 in [-1, 1], "y": ...}."""
        return self._told(self.make(step))

    def make(self, step: int) -> Made:
        """The batch of `step`, for any thread or process; nothing is reported."""
        with self.turn:
            try:
                return self._at(step), self._skipped()
            except UserError as error:
                return error, self._skipped()

    def _at(self, step: int) -> dict[str, Tensor]:
        epoch, place = divmod(step, self.steps_per_epoch)
        first = (place * self.ranks + self.rank) * self.batch
        batch: dict[str, Tensor] = {}
        for source in self.sources:
            crops = [source.crops(self.seed, epoch, i) for i in range(first, first + self.batch)]
            for name in source.domains:
                batch[name] = _as_batch([crop[name] for crop in crops])
        return batch

    def from_step(self, step: int) -> Generator[dict[str, Tensor], None, None]:
        """Batches of `step`, `step` + 1, ... without end, some of them made ahead.

        Without workers a thread makes them, for decoding needs no Python; until all pictures are
        kept, when it takes less time than the thread would cost. The thread ends when the generator
        is closed.
        """
        for made in self._from_workers(step) if self.workers else self._from_thread(step):
            yield self._told(made)

    def _from_thread(self, step: int) -> Iterator[Made]:
        pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        ahead: deque[Future[Made]] = deque()
        try:
            while True:
                while len(ahead) < AHEAD and not all(source.kept for source in self.sources):
                    ahead.append(pool.submit(self.make, step + len(ahead)))
                yield ahead.popleft().result() if ahead else self.make(step)
                step += 1
        finally:
            pool.shutdown(cancel_futures=True)

    def _from_workers(self, step: int) -> Iterable[Made]:
        return DataLoader(
            _Steps(self),
            batch_size=None,
            sampler=range(step, 1 << 62),
            num_workers=self.workers,
            prefetch_factor=AHEAD,
            persistent_workers=True,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # else it would draw from the global one
            multiprocessing_context=_context(),
            worker_init_fn=_leave_interrupts_to_the_trainer,
        )

    def fixed(self, domain: DomainName, indices: Sequence[int]) -> Tensor:
        """(N, C, size, size) float32 in [-1, 1] without chance, for samples and scores."""
        (source,) = (source for source in self.sources if domain in source.domains)
        with self.turn:
            try:
                return _as_batch([source.fixed(i)[domain] for i in indices])
            finally:
                self._report(self._skipped())

    def _skipped(self) -> list[Skipped]:
        """What was found unreadable since the last call."""
        news = [skip for source in self.sources for skip in source.skipped]
        for source in self.sources:
            source.skipped.clear()
        return news

    def _told(self, made: Made) -> dict[str, Tensor]:
        """The batch, after reporting what was skipped for it. Raises: UserError."""
        batch, skipped = made
        self._report(skipped)
        if isinstance(batch, UserError):
            raise batch
        return batch

    def _report(self, skipped: list[Skipped]) -> None:
        """Tell of each file once, though several workers found it."""
        for domain, name, reason in skipped:
            if (domain, name) in self.reported:
                continue
            self.reported.add((domain, name))
            if self.on_skip:
                self.on_skip(name, reason)
            else:
                warnings.warn(f"skipping {name}: {reason}", stacklevel=4)


def _as_batch(pictures: Sequence[Pixels]) -> Tensor:
    """(H, W, C) each -> (N, C, H, W) float32 in [-1, 1]."""
    height, width, channels = pictures[0].shape
    batch = np.empty((len(pictures), channels, height, width), pictures[0].dtype)
    for planes, picture in zip(batch, pictures):
        planes[:] = picture.transpose(2, 0, 1)
    return torch.from_numpy(to_unit(batch))


def _context() -> BaseContext:
    """How worker processes start: never as copies of this one.

    It has threads (of torch, OpenMP, OpenVINO, CUDA), and a copy of a process with threads may
    stand still or die, for only the thread that copies goes on in it.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # so that workers needn't import torch each
    return context


class _Steps(Dataset[Made]):
    """Batches by step number, in worker processes."""

    def __init__(self, batches: Batches) -> None:
        self.batches = copy.copy(batches)
        self.batches.on_skip = None  # it belongs to the calling process
        self.batches.turn = contextlib.nullcontext()  # a worker has one thread

    def __getitem__(self, step: int) -> Made:
        # errors are returned, or the loader would wrap its traceback around them
        return self.batches.make(step)


def _leave_interrupts_to_the_trainer(_: int) -> None:
    """Ctrl-C reaches every process; the trainer finishes its step, for which it needs batches."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
