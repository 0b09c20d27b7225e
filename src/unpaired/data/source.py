"""Pictures that belong together: read, kept in memory, replaced where unreadable, cropped."""

from __future__ import annotations

import math

import numpy as np

from unpaired.data.decode import Pixels, UnreadableImage
from unpaired.data.domains import Domain
from unpaired.data.files import printable
from unpaired.data.images import (
    DomainName,
    ImageConfig,
    middle,
    prepare,
    resize,
    resized,
    without_jitter,
)
from unpaired.data.memory import Budget
from unpaired.data.order import chance, picture_at
from unpaired.errors import UserError

Skipped = tuple[str, str, str]  # domain, name, reason
Pictures = dict[DomainName, Pixels]


class Source:
    """Pictures that belong together, one of each of its domains at the same index.

    It reads them with a cache, finds stand-ins for unreadable files, and crops.
    """

    def __init__(
        self, domains: dict[DomainName, Domain], images: ImageConfig, size: int, budget: Budget
    ) -> None:
        """Args: budget: memory for the cache, shared with other sources."""
        self.domains, self.size, self.budget = domains, size, budget
        self.configs = {name: images.of(name) for name in domains}
        self.name, domain = next(iter(domains.items()))  # whose order and chance all follow
        self.count, self.arrival = len(domain), domain.arrival
        self.cache: dict[int, Pictures] = {}
        self.middles: dict[int, Pictures] = {}
        self.unreadable: dict[int, str] = {}  # name and why
        self.skipped: list[Skipped] = []  # not yet reported

    @property
    def kept(self) -> bool:
        """Whether no file needs to be read any more."""
        return len(self.cache) == self.count

    def crops(self, seed: int, epoch: int, index: int) -> Pictures:
        """(size, size, C): the pictures at this place of the epoch, cropped by chance."""
        at = picture_at(seed, self.name, epoch, index, self.count, self.arrival)
        pictures = self._resized(at)
        made: Pictures = {}
        for name, picture in pictures.items():
            rng = chance(seed, self.name, epoch, index)  # the same draws for each
            made[name] = prepare(picture, self.configs[name], self.size, rng)
        return made

    def fixed(self, index: int) -> Pictures:
        """(size, size, C): the middle of the pictures at `index`."""
        if index in self.middles:
            return self.middles[index]
        pictures = self._first_readable(index, jitter=False)
        made = {name: middle(picture, self.size) for name, picture in pictures.items()}
        if self.arrival and self.budget.take(sum(picture.nbytes for picture in made.values())):
            # a stream would have to be read again from its beginning
            self.middles[index] = {name: picture.copy() for name, picture in made.items()}
        return made

    def _resized(self, index: int) -> Pictures:
        if index in self.cache:
            return self.cache[index]
        read = self._first_readable(index, jitter=True)
        pictures = {name: _in_planes(picture) for name, picture in read.items()}
        if self.budget.take(sum(picture.nbytes for picture in pictures.values())):
            self.cache[index] = pictures
        return pictures

    def _read(self, name: DomainName, index: int, jitter: bool, like: Pixels | None) -> Pixels:
        """Picture `index`, resized as configured, or to the size of its partner `like`."""
        config = self.configs[name]
        # a JPEG decoded at twice the size or more shrinks to nearly what the whole would shrink to
        shrinks = jitter and config.mode == "resize-crop"
        at_least = math.ceil(config.oversize * config.load_size(self.size)) if shrinks else None
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


def _in_planes(pixels: Pixels) -> Pixels:
    """(H, W, C): a copy that lies in memory channel by channel, as batches do.

    Rows of one channel are copied, mirrored or not, ten times as fast as pixels of three.
    """
    return np.array(pixels.transpose(2, 0, 1), order="C").transpose(1, 2, 0)
