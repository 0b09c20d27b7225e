"""Batches for training: a pure function of (seed, step, rank), whatever workers and restarts."""

from __future__ import annotations

import copy
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import psutil
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from unpaired.data.decode import Pixels, UnreadableImage, to_unit
from unpaired.data.domains import Domain, printable
from unpaired.data.images import DomainName, ImageConfig, prepare, prepare_fixed, resized
from unpaired.data.order import chance, picture_at
from unpaired.errors import UserError

Skip = Callable[[str, str], None]
Skipped = tuple[str, str, str]  # domain, name, reason


class Batches:
    """Endless batches of two unpaired domains.

    Pictures are kept decoded and resized while they fit in `cache_share` of the memory that is free
    at the start (each worker process has its own share of it). A file that turns out to be
    unreadable is reported once through `on_skip`, in the calling process, and the next readable one
    stands in for it.
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
        on_skip: Skip | None = None,
    ) -> None:
        self.x, self.y = x, y
        self.size, self.batch, self.seed = size, batch, seed
        self.workers, self.rank, self.ranks = workers, rank, ranks
        self.on_skip, self.reported = on_skip, set[tuple[str, str]]()
        budget = cache_share * psutil.virtual_memory().available / (max(1, workers) * ranks) / 2
        self.sources = {
            "x": _Source(x, images.of("x"), size, budget),
            "y": _Source(y, images.of("y"), size, budget),
        }
        self.steps_per_epoch = -(-max(len(x), len(y)) // (batch * ranks))

    def at(self, step: int) -> dict[str, Tensor]:
        """The batch of `step`: {"x": (batch, C, size, size) float32 in [-1, 1], "y": ...}."""
        try:
            return self._at(step)
        finally:
            self._report(self._skipped())

    def _at(self, step: int) -> dict[str, Tensor]:
        epoch, place = divmod(step, self.steps_per_epoch)
        first = (place * self.ranks + self.rank) * self.batch
        return {
            name: torch.from_numpy(
                np.stack(
                    [
                        source.crop(self.seed, name, epoch, index)
                        for index in range(first, first + self.batch)
                    ]
                )
            )
            for name, source in self.sources.items()
        }

    def from_step(self, step: int) -> Iterator[dict[str, Tensor]]:
        """Batches of `step`, `step` + 1, ... without end."""
        if not self.workers:
            while True:
                yield self.at(step)
                step += 1
        loader = DataLoader(
            _Steps(self),
            batch_size=None,
            sampler=range(step, 1 << 62),
            num_workers=self.workers,
            prefetch_factor=4,
            persistent_workers=True,
            generator=torch.Generator(),  # else it would draw from the global one
            multiprocessing_context="forkserver" if torch.cuda.is_available() else None,
            worker_init_fn=_leave_interrupts_to_the_trainer,
        )
        for batch, skipped in loader:
            self._report(skipped)
            if isinstance(batch, UserError):
                raise batch
            yield batch

    def fixed(self, domain: DomainName, indices: Sequence[int]) -> Tensor:
        """(N, C, size, size) float32 in [-1, 1] without chance, for samples and scores."""
        source = self.sources[domain]
        try:
            return torch.from_numpy(np.stack([source.fixed(i) for i in indices]))
        finally:
            self._report(self._skipped())

    def _skipped(self) -> list[Skipped]:
        """What was found unreadable since the last call."""
        news = [(d, *skip) for d, source in self.sources.items() for skip in source.skipped]
        for source in self.sources.values():
            source.skipped.clear()
        return news

    def _report(self, skipped: list[Skipped]) -> None:
        """Tell of each file once, though several workers found it."""
        for domain, name, reason in skipped:
            if (domain, name) in self.reported:
                continue
            self.reported.add((domain, name))
            if self.on_skip:
                self.on_skip(name, reason)
            else:
                warnings.warn(f"skipping {name}: {reason}", stacklevel=3)


class _Steps(Dataset[tuple[dict[str, Tensor] | UserError, list[Skipped]]]):
    """Batches by step number, and what was skipped for them, in worker processes."""

    def __init__(self, batches: Batches) -> None:
        self.batches = copy.copy(batches)
        self.batches.on_skip = None  # it belongs to the calling process

    def __getitem__(self, step: int) -> tuple[dict[str, Tensor] | UserError, list[Skipped]]:
        try:
            return self.batches._at(step), self.batches._skipped()
        except UserError as error:  # returned, or the loader would wrap its traceback around it
            return error, self.batches._skipped()


def _leave_interrupts_to_the_trainer(_: int) -> None:
    """Ctrl-C reaches every process; the trainer finishes its step, for which it needs batches."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Source:
    """One domain: reading with a cache, stand-ins for unreadable files, crops."""

    def __init__(self, domain: Domain, config: ImageConfig, size: int, budget: float) -> None:
        self.domain, self.config, self.size, self.budget = domain, config, size, budget
        self.cache: dict[int, Pixels] = {}
        self.unreadable: dict[int, str] = {}  # why
        self.skipped: list[tuple[str, str]] = []  # not yet reported

    def crop(self, seed: int, name: str, epoch: int, index: int) -> Pixels:
        """(C, size, size) float32: the picture at this place of the epoch, cropped by chance."""
        picture = self._resized(picture_at(seed, name, epoch, index, len(self.domain)))
        rng = chance(seed, name, epoch, index)
        return _channels_first(prepare(picture, self.config, self.size, rng))

    def fixed(self, index: int) -> Pixels:
        """(C, size, size) float32: the middle of picture `index`."""
        picture = self._first_readable(
            index, lambda i: prepare_fixed(self.domain.read(i, None), self.config, self.size)
        )
        return _channels_first(picture)

    def _resized(self, index: int) -> Pixels:
        if index in self.cache:
            return self.cache[index]
        picture = self._first_readable(index, self._decode)
        if picture.nbytes <= self.budget:
            self.budget -= picture.nbytes
            self.cache[index] = np.ascontiguousarray(picture)
        return picture

    def _decode(self, index: int) -> Pixels:
        shrinks = self.config.mode == "resize-crop"
        # a JPEG decoded at twice the size or more shrinks to what the whole would shrink to
        load = 2 * self.config.load_size(self.size) if shrinks else None
        return resized(self.domain.read(index, load), self.config, self.size)

    def _first_readable(self, index: int, read: Callable[[int], Pixels]) -> Pixels:
        """Try `index`, then the ones after it; the same every time."""
        count = len(self.domain)
        for offset in range(count):
            at = (index + offset) % count
            if at in self.unreadable:
                continue
            try:
                return read(at)
            except (UnreadableImage, ValueError) as error:
                reason = getattr(error, "reason", str(error))
                self.unreadable[at] = reason
                self.skipped.append((printable(self.domain.names[at]), reason))
        raise UserError(
            f"no readable picture is left among {count} (the first: "
            f"{printable(self.domain.names[index])}: {self.unreadable[index]}); mend or remove them"
        )


def _channels_first(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(to_unit(pixels).transpose(2, 0, 1))
