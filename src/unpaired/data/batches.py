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
from unpaired.data.images import (
    DomainName,
    ImageConfig,
    middle,
    need_one_geometry,
    prepare,
    resize,
    resized,
    without_jitter,
)
from unpaired.data.order import chance, picture_at
from unpaired.errors import UserError

Skip = Callable[[str, str], None]
Skipped = tuple[str, str, str]  # domain, name, reason
Pictures = dict[DomainName, Pixels]


class Batches:
    """Endless batches of two domains.

    Unpaired, each has its own order and chance. Paired, pictures at the same index come together,
    brought to one size and then cropped, mirrored and turned alike.

    Pictures are kept decoded and resized while they fit in `cache_share` of the memory that is free
    at the start (each worker process has its own share of it). A file that turns out to be
    unreadable is reported once through `on_skip`, in the calling process, and the next readable one
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
        on_skip: Skip | None = None,
        paired: bool = False,
    ) -> None:
        """Raises: UserError if `paired` and the geometry of X and Y differs in `images`."""
        self.x, self.y = x, y
        self.size, self.batch, self.seed = size, batch, seed
        self.workers, self.rank, self.ranks = workers, rank, ranks
        self.on_skip, self.reported = on_skip, set[tuple[str, str]]()
        budget = cache_share * psutil.virtual_memory().available / (max(1, workers) * ranks)
        if paired:
            need_one_geometry(images)
            self.sources = [_Source({"x": x, "y": y}, images, size, budget)]
        else:
            self.sources = [
                _Source({"x": x}, images, size, budget / 2),
                _Source({"y": y}, images, size, budget / 2),
            ]
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
        batch: dict[str, Tensor] = {}
        for source in self.sources:
            crops = [source.crops(self.seed, epoch, i) for i in range(first, first + self.batch)]
            for name in source.domains:
                batch[name] = torch.from_numpy(np.stack([crop[name] for crop in crops]))
        return batch

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
        (source,) = (source for source in self.sources if domain in source.domains)
        try:
            return torch.from_numpy(np.stack([source.fixed(i)[domain] for i in indices]))
        finally:
            self._report(self._skipped())

    def _skipped(self) -> list[Skipped]:
        """What was found unreadable since the last call."""
        news = [skip for source in self.sources for skip in source.skipped]
        for source in self.sources:
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
    """Pictures that belong together, one of each of its domains at the same index.

    It reads them with a cache, finds stand-ins for unreadable files, and crops.
    """

    def __init__(
        self, domains: dict[DomainName, Domain], images: ImageConfig, size: int, budget: float
    ) -> None:
        self.domains, self.size, self.budget = domains, size, budget
        self.configs = {name: images.of(name) for name in domains}
        self.name, domain = next(iter(domains.items()))  # whose order and chance all follow
        self.count = len(domain)
        self.cache: dict[int, Pictures] = {}
        self.unreadable: dict[int, str] = {}  # name and why
        self.skipped: list[Skipped] = []  # not yet reported

    def crops(self, seed: int, epoch: int, index: int) -> Pictures:
        """(C, size, size) float32: the pictures at this place of the epoch, cropped by chance."""
        pictures = self._resized(picture_at(seed, self.name, epoch, index, self.count))
        made: Pictures = {}
        for name, picture in pictures.items():
            rng = chance(seed, self.name, epoch, index)  # the same draws for each
            made[name] = _channels_first(prepare(picture, self.configs[name], self.size, rng))
        return made

    def fixed(self, index: int) -> Pictures:
        """(C, size, size) float32: the middle of the pictures at `index`."""
        pictures = self._first_readable(index, jitter=False)
        return {name: _channels_first(middle(p, self.size)) for name, p in pictures.items()}

    def _resized(self, index: int) -> Pictures:
        if index in self.cache:
            return self.cache[index]
        pictures = self._first_readable(index, jitter=True)
        size = sum(picture.nbytes for picture in pictures.values())
        if size <= self.budget:
            self.budget -= size
            self.cache[index] = {k: np.ascontiguousarray(v) for k, v in pictures.items()}
        return pictures

    def _read(self, name: DomainName, index: int, jitter: bool, like: Pixels | None) -> Pixels:
        """Picture `index`, resized as configured, or to the size of its partner `like`."""
        config = self.configs[name]
        # a JPEG decoded at twice the size or more shrinks to what the whole would shrink to
        shrinks = jitter and config.mode == "resize-crop"
        at_least = 2 * config.load_size(self.size) if shrinks else None
        picture = self.domains[name].read(index, at_least)
        if like is not None and config.mode != "none":
            return resize(picture, like.shape[0], like.shape[1], config.interpolation)
        return resized(picture, config if jitter else without_jitter(config, self.size), self.size)

    def _first_readable(self, index: int, jitter: bool) -> Pictures:
        """Try `index`, then the ones after it; the same every time."""
        for offset in range(self.count):
            at = (index + offset) % self.count
            if at in self.unreadable:
                continue
            made: Pictures = {}
            for name, domain in self.domains.items():
                try:
                    made[name] = self._read(name, at, jitter, next(iter(made.values()), None))
                except (UnreadableImage, ValueError) as error:
                    file, reason = printable(domain.names[at]), getattr(error, "reason", str(error))
                    self.unreadable[at] = f"{file}: {reason}"
                    paired = "" if len(self.domains) == 1 else "; the pair is left out"
                    self.skipped.append((name, file, reason + paired))
                    break
            else:
                return made
        raise UserError(
            f"no readable picture is left among {self.count} (the first: "
            f"{self.unreadable[index]}); mend or remove them"
        )


def _channels_first(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(to_unit(pixels).transpose(2, 0, 1))
