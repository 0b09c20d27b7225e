"""Pictures read, converted and written at the same time, wherever they lie."""

from __future__ import annotations

import errno
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unpaired.data.decode import Picture, UnreadableImage
from unpaired.data.opening import Encoded, Member
from unpaired.errors import UserError, reason_of
from unpaired.shortage import is_shortage
from unpaired.translation.output import Format, Unwritable, choose_format, encode
from unpaired.translation.overlap import Overlap, Task

Convert = Callable[[Sequence[Picture]], list[Picture]]
HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # no other image would fare better


@dataclass
class Outcome:
    """What became of the inputs; all of them added up are the inputs."""

    translated: int = 0
    skipped: int = 0
    """Done before."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    """(path or address, why)."""

    @property
    def total(self) -> int:
        return self.translated + self.skipped + len(self.failed)

    def add(self, other: Outcome) -> None:
        """Count what became of others, too."""
        self.translated += other.translated
        self.skipped += other.skipped
        self.failed += other.failed


@dataclass(frozen=True)
class Job:
    """One input, and its place in the output folder without the suffix of a format."""

    source: Encoded
    target: Path

    def output(self, format: str) -> Path:
        return self.target.with_name(f"{self.target.name}.{format}")


class Conveyor(ABC):
    """Takes pictures from wherever they lie through a network to wherever they belong.

    Threads read the next pictures and write the last ones while the network is at work, a bounded
    number of pixels at once.

    Attributes: outcome: of the pictures that are through.
    """

    def __init__(self, convert: Convert, format: Format | None, threads: int | None = None) -> None:
        """Args: threads: as for `Overlap`."""
        self.convert, self.format = convert, format
        self.outcome = Outcome()
        self.reading = Overlap[Job](threads)
        self.writing = Overlap[tuple[Job, Path]](threads)

    @abstractmethod
    def pixels(self, job: Job) -> int:
        """What reading it will hold; 0 if nothing, or if nobody knows."""

    @abstractmethod
    def read(self, job: Job) -> Picture | str:
        """In a thread: the picture, or the name of what is to be done `instead`.

        Raises: UnreadableImage, OSError.
        """

    def instead(self, job: Job, what: str) -> None:
        """What is to be done with an input that `read` gave no picture of."""
        raise NotImplementedError(what)

    @abstractmethod
    def write(self, place: Path, content: bytes) -> object:
        """In a thread: have it whole at its place; returns what `written` is to know.

        Raises: Unwritable, OSError.
        """

    def written(self, job: Job, made: object = None) -> None:  # noqa: ARG002 - for subclasses
        """It is at its place."""
        self.outcome.translated += 1

    def fail(self, job: Job, reason: str) -> None:
        """Nothing will come of it."""
        name = job.source.name if isinstance(job.source, Member) else str(job.source)
        self.outcome.failed.append((name, reason))

    def attempt(self, job: Job, place: Path, stream: Callable[[], None]) -> None:
        """Have `stream` take an input to its place by itself, and count what becomes of it.

        Raises: UserError if it can't be written and no other picture would fare better.
        """
        try:
            stream()
        except UnreadableImage as error:
            self.fail(job, error.reason)
        except UserError as error:
            self.fail(job, str(error))
        except OSError as error:
            self.not_written(job, place, error)
        else:
            self.written(job)

    def work(self, jobs: Iterable[Job], batch: int) -> Iterator[int]:
        """Do all of them; gives how many were read so far, after each.

        Raises: UserError if no other picture would fare better than the last.
        """
        waiting: dict[tuple[int, ...], list[tuple[Job, Picture]]] = {}
        with self.reading, self.writing:
            for number, (job, picture) in enumerate(self._pictures(jobs), 1):
                if picture is not None:
                    waiting.setdefault(picture.pixels.shape, []).append((job, picture))
                    fullest = max(waiting, key=lambda shape: len(waiting[shape]))
                    held = sum(map(len, waiting.values()))
                    if len(waiting[fullest]) == batch or held >= 4 * batch:
                        self._convert_and_write(waiting.pop(fullest))
                yield number
            for group in waiting.values():
                self._convert_and_write(group)
            while self.writing.tasks:
                self._settle(self.writing.tasks.popleft())

    def _pictures(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Picture | None]]:
        """Every input and its picture, in order; None if there is nothing (more) to do for it."""
        for job in jobs:
            pixels = self.pixels(job)
            while not self.reading.has_room(pixels):
                yield self._taken(self.reading.tasks.popleft())
            self.reading.submit(job, pixels, self.read, job)
        while self.reading.tasks:
            yield self._taken(self.reading.tasks.popleft())

    def _taken(self, task: Task[Job]) -> tuple[Job, Picture | None]:
        """What was read, when its turn comes."""
        job = task.key
        try:
            found = task.future.result()
        except UnreadableImage as error:
            self.fail(job, error.reason)
        except OSError as error:
            self.fail(job, reason_of(error))
        else:
            if isinstance(found, Picture):
                return job, found
            self.instead(job, found)
        return job, None

    def _convert_and_write(self, group: list[tuple[Job, Picture]]) -> None:
        """Convert pictures of one size together and have them written."""
        try:
            made = self.convert([picture for _, picture in group])
        except (UserError, RuntimeError, MemoryError) as error:
            if isinstance(error, RuntimeError) and not is_shortage(error):
                raise
            if len(group) > 1:  # so that one fails alone
                for one in group:
                    self._convert_and_write([one])
                return
            height, width = group[0][1].pixels.shape[:2]
            memory = f"not enough memory for {width} x {height} pixels"
            self.fail(group[0][0], str(error) if isinstance(error, UserError) else memory)
            return
        for (job, _), picture in zip(group, made):
            self._hand_over(job, picture)

    def _hand_over(self, job: Job, picture: Picture) -> None:
        """Have a picture written, and see how those before it fared."""
        format = choose_format(picture, self.format)
        place, pixels = job.output(format), math.prod(picture.pixels.shape[:2])
        tasks = self.writing.tasks
        while tasks and (tasks[0].future.done() or not self.writing.has_room(pixels)):
            self._settle(tasks.popleft())
        self.writing.submit((job, place), pixels, self._encode_and_write, place, picture, format)

    def _encode_and_write(self, place: Path, picture: Picture, format: Format) -> object:
        """In a thread. Raises: Unwritable, OSError."""
        return self.write(place, encode(picture, format))

    def _settle(self, task: Task[tuple[Job, Path]]) -> None:
        """Count what was written. Raises: UserError if no other image would fare better."""
        job, place = task.key
        try:
            made = task.future.result()
        except Unwritable as error:
            self.fail(job, str(error))
        except OSError as error:
            self.not_written(job, place, error)
        else:
            self.written(job, made)

    def not_written(self, job: Job, place: Path, error: OSError) -> None:
        """Go on with the next input, if it may fare better. Raises: UserError."""
        if error.errno in HOPELESS:
            self.writing.stop()
            ended = [t.future for t in self.writing.tasks if not t.future.cancelled()]
            self.outcome.translated += sum(future.exception() is None for future in ended)
            raise UserError(
                f'cannot write "{place}": {reason_of(error)}; make room or mend the folder and '
                f"run it again: the {self.outcome.translated} images written so far are whole"
            ) from None
        self.fail(job, f'cannot write "{place}": {reason_of(error)}')
