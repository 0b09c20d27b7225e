"""Tar shards (WebDataset) to tar shards: pictures translated, all else carried over."""

from __future__ import annotations

import io
import json
import math
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, cast

from unpaired.data.decode import Picture, UnreadableImage, measure, read_picture
from unpaired.data.opening import Member
from unpaired.data.picture import MAX_BYTES
from unpaired.errors import UserError, reason_of
from unpaired.translation.conveyor import Conveyor, Job, Outcome
from unpaired.translation.many.record import FOLDER, outcome_of
from unpaired.translation.many.sources import is_picture
from unpaired.translation.many.stores import Store, as_oserror
from unpaired.translation.naming import bare
from unpaired.translation.output import Format
from unpaired.translation.tiling.tiler import Tiler

END = bytes(1024)
"""Two blocks of zeros: what every whole tar ends with."""


@dataclass(frozen=True)
class Numbered(Job):
    """A picture of a shard, by its place among the members."""

    number: int
    name: str
    """Of its result, without the suffix of a format."""
    member: tarfile.TarInfo


class _Header(tarfile.TarInfo):
    """One that is damaged is no end, for which `TarFile` takes it."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _Header:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.InvalidHeaderError as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from None


class NotWhole(Exception):  # noqa: N818 - the shard is at fault
    """A shard that can't be read to its end; says why."""


def outcome_before(out: Store, name: str) -> Outcome | None:
    """What became of a shard that stands in `out`: nothing was translated now.

    None if that is not known, as its record is lost or damaged.
    """
    try:
        before = outcome_of(out.read(_record(name)))
    except (FileNotFoundError, ValueError):
        return None
    return Outcome(0, before.translated, before.failed)


def translate_shard(
    tiler: Tiler, store: Store, name: str, out: Store, *, batch: int, format: Format | None
) -> Outcome:
    """Translate one shard into a shard of the same name, there when it is whole, or not at all.

    Order and names are kept, so samples stay together; `a.jpg` becomes `a.png`. Members that are
    no pictures are carried over as they are. Pictures that can't be translated are left out, and
    named in the outcome, which is kept in `out` before the shard appears there. Encoded results
    wait in memory for those before them: at most one shard's.

    Returns: the outcome; a shard that can't be read is one failure, and leaves no output.
    Raises: UserError if it can't be written.
    """
    where = f"{store.place}/{name}"
    try:
        try:
            with out.building(name) as file:
                outcome = _translate(tiler, store, name, file, batch, format)
                out.write(_record(name), json.dumps(asdict(outcome)).encode())
        except OSError as error:
            raise UserError(
                f'cannot write "{out.place}/{name}": {reason_of(error)}; make room or mend it and '
                "run it again: shards that are done stay done"
            ) from None
    except NotWhole as error:
        return Outcome(failed=[(where, str(error))])
    return outcome


def _translate(
    tiler: Tiler, store: Store, name: str, file: IO[bytes], batch: int, format: Format | None
) -> Outcome:
    """Raises: NotWhole; OSError if `file` can't be written."""
    try:
        source = _Watched(store.open(name))
    except OSError as error:
        raise NotWhole(reason_of(error)) from None
    with source.file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as made:
        run = _ShardRun(tiler, f"{store.place}/{name}", made, format)
        for _ in run.work(run.pictures(source), batch):
            pass
    return run.outcome


class _ShardRun(Conveyor):
    """Results are written in the order of the members they come from."""

    def __init__(
        self, tiler: Tiler, place: str, made: tarfile.TarFile, format: Format | None
    ) -> None:
        super().__init__(tiler.pictures, format)
        self.place, self.made, self.span = place, made, tiler.span
        self.ready: dict[int, tuple[tarfile.TarInfo, bytes] | None] = {}
        self.next = 0

    def pictures(self, source: _Watched) -> Iterator[Numbered]:
        """The shard's pictures in order; what is none takes its place among the results.

        Raises: NotWhole.
        """
        taken: set[str] = set()
        for number, (member, content) in enumerate(members(source)):
            if not is_picture(member.name):
                self._put(number, (member, content))
                continue
            name = bare(member.name)
            suffix = member.name[len(name) :]
            while name.casefold() in taken:
                name += suffix
            taken.add(name.casefold())
            found = Member(f"{self.place}/{member.name}", content)
            yield Numbered(found, Path(str(number)), number, name, member)

    def pixels(self, job: Job) -> int:
        try:
            return math.prod(measure(job.source))
        except UnreadableImage:  # whoever reads it says why
            return 0

    def read(self, job: Job) -> Picture | str:
        return read_picture(job.source, span=self.span)

    def write(self, place: Path, content: bytes) -> object:
        return place.suffix, content

    def written(self, job: Job, made: object = None) -> None:
        super().written(job, made)
        assert isinstance(job, Numbered)
        suffix, content = cast(tuple[str, bytes], made)
        member = tarfile.TarInfo(job.name + suffix)
        member.mtime, member.mode = job.member.mtime, job.member.mode
        self._put(job.number, (member, content))

    def fail(self, job: Job, reason: str) -> None:
        super().fail(job, reason)
        assert isinstance(job, Numbered)
        self._put(job.number, None)

    def _put(self, number: int, result: tuple[tarfile.TarInfo, bytes] | None) -> None:
        """Write what is ready up to the first that isn't. Raises: OSError."""
        self.ready[number] = result
        while self.next in self.ready:
            found = self.ready.pop(self.next)
            self.next += 1
            if found:
                member, content = found
                member.size = len(content)
                self.made.addfile(member, io.BytesIO(content))


class _Watched:
    """A file read from its beginning to its end, of which the last bytes are remembered."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.last = file, b""

    def read(self, size: int) -> bytes:
        """Raises: OSError, whatever the store raises."""
        with as_oserror():
            found = self.file.read(size)
        self.last = (self.last + found)[-len(END) :]
        return found


def members(source: _Watched) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """The files of a tar and their contents, in order; links, folders and the like are left out.

    Raises: NotWhole, after the last that is whole.
    """
    count = 0
    try:
        with tarfile.open(fileobj=source, mode="r|", tarinfo=_Header) as tar:  # type: ignore[call-overload]
            for member in tar:
                if not member.isreg() or member.issparse():  # a sparse one may say any size
                    continue
                if member.size > MAX_BYTES:
                    raise NotWhole(
                        f'"{member.name}" in it has over {MAX_BYTES:,} bytes; repack it without'
                    )
                file = tar.extractfile(member)
                assert file
                yield member, file.read()
                count += 1
            while rest := tar.fileobj.read(1 << 20):
                if any(rest):
                    raise NotWhole(f"not a whole tar after {count} files (more behind its end)")
    except tarfile.TarError as error:
        raise NotWhole(f"not a whole tar after {count} files ({error})") from None
    except OSError as error:
        raise NotWhole(f"can't be read after {count} files: {reason_of(error)}") from None
    if source.last != END:
        raise NotWhole(f"not a whole tar after {count} files (it has no end)")


def _record(name: str) -> str:
    return f"{FOLDER}/shards/{name}.json"
