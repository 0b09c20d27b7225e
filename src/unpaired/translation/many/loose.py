"""Pictures, each a file of its own, from folders or object stores into one of these."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from unpaired.data.decode import Picture, UnreadableImage, measure, read_picture
from unpaired.data.opening import Encoded, Member
from unpaired.errors import UserError, reason_of
from unpaired.translation.conveyor import Conveyor, Job, Outcome
from unpaired.translation.many.sources import Piece
from unpaired.translation.many.stores import LocalStore, Store
from unpaired.translation.naming import bare
from unpaired.translation.output import Format
from unpaired.translation.overlap import Overlap
from unpaired.translation.tiling.tiler import Tiler

IN_A_ROW = 100
"""Failures of a store, one after the other, from which on it is given up."""


@dataclass(frozen=True)
class Fetched(Job):
    """A picture that is here: a file of this machine, or the bytes of one elsewhere."""

    why: OSError | None = None
    """It could not be fetched."""


def split_done(pieces: list[Piece], out: Store) -> tuple[list[Piece], int]:
    """The pieces that have no output yet, and how many have one; one listing of `out`."""
    there = {piece.target for piece in pieces}
    there = {place for name, _ in out.names() if (place := bare(name)) in there}
    todo = [piece for piece in pieces if piece.target not in there]
    return todo, len(pieces) - len(todo)


def translate_loose(
    tiler: Tiler,
    stores: Sequence[Store],
    pieces: Sequence[Piece],
    out: Store,
    *,
    batch: int,
    format: Format | None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Translate pictures; each output is written whole, or not at all.

    Args: on_progress: called with (pieces read so far, pieces).
    Raises: UserError if no other picture would fare better: the disk is full, the store is away.
    """
    run = _LooseRun(tiler, stores, out, format)
    for number in run.work(run.fetched(pieces), batch):
        if on_progress:
            on_progress(number, len(pieces))
    return run.outcome


class _LooseRun(Conveyor):
    def __init__(
        self, tiler: Tiler, stores: Sequence[Store], out: Store, format: Format | None
    ) -> None:
        threads = max((s.threads or 0 for s in [*stores, out]), default=0) or None
        super().__init__(tiler.pictures, format, threads)
        self.tiler, self.stores, self.out = tiler, stores, out
        self.in_a_row = 0

    def fetched(self, pieces: Sequence[Piece]) -> Iterator[Fetched]:
        """Every piece in order, those of stores elsewhere fetched ahead, their bytes bounded."""
        ahead = Overlap[Piece](self.reading.threads)
        with ahead:
            for piece in pieces:
                store = self.stores[piece.source]
                if isinstance(store, LocalStore):
                    path = store.path(piece.name)
                    yield Fetched(path, Path(piece.target))
                    continue
                while not ahead.has_room(piece.size):
                    yield self._come(ahead)
                ahead.submit(piece, piece.size, store.read, piece.name)
            while ahead.tasks:
                yield self._come(ahead)

    def _come(self, ahead: Overlap[Piece]) -> Fetched:
        piece, _, future = ahead.tasks.popleft()
        name = f"{self.stores[piece.source].place}/{piece.name}"
        target = Path(piece.target)
        try:
            content = future.result()
        except OSError as error:
            return Fetched(Member(name, b""), target, error)
        return Fetched(Member(name, content), target)

    def pixels(self, job: Job) -> int:
        try:
            return math.prod(measure(job.source))
        except (UnreadableImage, OSError):  # whoever reads it says why
            return 0

    def read(self, job: Job) -> Picture | str:
        assert isinstance(job, Fetched)
        if job.why:
            return "give up"
        if isinstance(job.source, Path) and self.tiler.streams(job.source):
            return "stream"
        return read_picture(job.source, span=self.tiler.span)

    def instead(self, job: Job, what: str) -> None:
        assert isinstance(job, Fetched)
        if what == "stream":
            self._stream(job, job.source)
        elif job.why:
            self._at_fault(job, reason_of(job.why), "cannot read it")

    def _stream(self, job: Job, source: Encoded) -> None:
        """From a file to a TIFF, neither of them ever held."""
        assert isinstance(source, Path)
        if not isinstance(self.out, LocalStore) or self.format not in (None, "tif"):
            self.fail(job, "too large to be held; translate it to a tif in a folder of a disk")
            return
        place = self.out.path(str(job.output("tif")))

        def stream() -> None:
            place.parent.mkdir(parents=True, exist_ok=True)
            self.tiler.stream(source, place)

        self.attempt(job, place, stream)

    def write(self, place: Path, content: bytes) -> None:
        self.out.write(PurePosixPath(place).as_posix(), content)

    def written(self, job: Job, made: object = None) -> None:
        super().written(job, made)
        self.in_a_row = 0

    def not_written(self, job: Job, place: Path, error: OSError) -> None:
        if isinstance(self.out, LocalStore):
            super().not_written(job, self.out.path(place.as_posix()), error)
        else:
            self._at_fault(job, reason_of(error), f'cannot write "{self.out.place}/{place}"')

    def _at_fault(self, job: Job, reason: str, what: str) -> None:
        """A store failed. Raises: UserError if it does nothing else."""
        self.fail(job, f"{what}: {reason}")
        self.in_a_row += 1
        if self.in_a_row >= IN_A_ROW:
            raise UserError(
                f"{self.outcome.failed[-1][0]}: {what}: {reason}, as {IN_A_ROW - 1} before it; "
                "mend that and run it again: what is done stays done"
            )
