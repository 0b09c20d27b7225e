"""Files in, files out: translate images and folders of them without ever harming one."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unpaired.data.decode import Picture, UnreadableImage, measure, read_picture
from unpaired.data.layouts import list_images
from unpaired.data.opening import path_of
from unpaired.errors import UserError, reason_of
from unpaired.translation.base import BaseTranslator
from unpaired.translation.conveyor import Convert, Conveyor, Job
from unpaired.translation.naming import targets
from unpaired.translation.output import (
    FORMATS,
    Format,
    Unwritable,
    check_format,
)
from unpaired.translation.tiling.tiler import Tiler, Tiles
from unpaired.whole import write_whole


@dataclass
class Summary:
    """What became of the inputs."""

    translated: int = 0
    skipped: int = 0
    """Already there, and `overwrite` not given."""
    failed: list[tuple[Path, str]] = field(default_factory=list)
    """(input, why)."""

    def __str__(self) -> str:
        return f"{self.translated} translated, {self.skipped} skipped, {len(self.failed)} failed"


def translate_files(
    translator: BaseTranslator,
    inputs: Sequence[Path],
    out: Path,
    *,
    direction: str | None = None,
    batch: int = 1,
    overwrite: bool = False,
    format: Format | None = None,
    tiles: Tiles = "auto",
    on_done: Callable[[int, int], None] | None = None,
    on_error: Callable[[float], None] | None = None,
) -> Summary:
    """Translate images and folders of images into the folder `out`.

    Sub-folders are kept. `photo.jpg` becomes `photo.png`; where two inputs would get one name, both
    keep their whole name: `photo.jpg.png` and `photo.tif.png`. Every file is written beside its
    place and then moved there, so a file that stands in `out` is whole. An image that can't be
    read, translated or written is reported and does not stop the rest. Threads read the next
    images and write the last ones while the network is at work, a bounded number of pixels at once.

    Args:
        batch: images of one size to send through the network together.
        overwrite: translate again what stands in `out` already; inputs are never overwritten.
        format: of the outputs; None: PNG, or TIFF for what PNG can't hold.
        tiles: how large images are translated; see `Tiler`. Very large ones become tiled TIFFs.
        on_done: called with (inputs read, inputs in all).
        on_error: called with the estimated error of each image that is tiled fast.
    Raises: UserError for a missing input, no images, an `out` that is an input folder or can't be
        written, a full disk, or a direction the run lacks.
    """
    if batch < 1:
        raise UserError(f"--batch is {batch}; give 1 or more")
    tiler = Tiler(translator, direction, tiles, on_error=on_error)
    return convert_files(
        tiler.pictures,
        inputs,
        out,
        batch=batch,
        overwrite=overwrite,
        format=format,
        on_done=on_done,
        stream=tiler,
    )


def convert_files(
    convert: Convert,
    inputs: Sequence[Path],
    out: Path,
    *,
    batch: int = 1,
    overwrite: bool = False,
    format: Format | None = None,
    protected: Sequence[Path] = (),
    on_done: Callable[[int, int], None] | None = None,
    stream: Tiler | None = None,
) -> Summary:
    """`translate_files` for anything that makes one picture of each: the same rules for files.

    Args:
        convert: pictures of one size -> as many; UserError if they can't be converted.
        protected: files that are read besides the inputs, and must not be written either.
        stream: converts files that are too large to be held.
    Raises: as `translate_files`.
    """
    check_format(format)
    out = Path(out)
    jobs = plan([Path(p) for p in inputs], out)
    read = {_identity(path) for path in [*(path_of(job.source) for job in jobs), *protected]}
    run = _FolderRun(convert, out, format, read, overwrite, stream)
    run.make_folder(out)
    if stream and not all(run.done(job) for job in jobs):
        stream.open(path_of(job.source) for job in jobs if not run.done(job))
    for number in run.work(jobs, batch):
        if on_done:
            on_done(number, len(jobs))
    ended = run.outcome
    failed = [(Path(name), reason) for name, reason in ended.failed]
    return Summary(ended.translated, ended.skipped, failed)


def plan(inputs: Sequence[Path], out: Path) -> list[Job]:
    """Every image among `inputs`, each with a place in `out` of its own.

    The content of a single folder lands in `out` itself; of several folders, each under its name.
    Places are compared without case, as some file systems do.

    Raises: UserError for a missing input, a folder without images, or `out` being an input folder.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f'--out "{out}" is a file; give a folder')
    folders = [path for path in inputs if path.is_dir()]
    found: dict[tuple[Path, Path], None] = {}  # (image, its name in out), each once, in order
    for path in inputs:
        if path.is_dir():
            if out.exists() and out.samefile(path):
                raise UserError(f'--out "{out}" is an input folder; choose another --out')
            images = [p for p in list_images(path) if not _inside(p, out, path)]
            if not images:
                raise UserError(f'no images in "{path}"; check the path')
            prefix = Path(path.resolve().name) if len(folders) > 1 else Path()
            found.update({(image, prefix / image.relative_to(path)): None for image in images})
        elif path.exists():
            found[path, Path(path.name)] = None
        else:
            raise UserError(f'no image or folder at "{path}"; check the path')
    if not found:
        raise UserError("nothing to translate; give an image or a folder")
    places = targets([name.as_posix() for _, name in found])
    return [Job(source, out / place) for (source, _), place in zip(found, places)]


class _FolderRun(Conveyor):
    """Files to files."""

    def __init__(
        self,
        convert: Convert,
        out: Path,
        format: Format | None,
        protected: set[tuple[int, int] | None],
        overwrite: bool,
        tiler: Tiler | None,
    ) -> None:
        super().__init__(convert, format)
        self.out, self.protected, self.overwrite, self.tiler = out, protected, overwrite, tiler

    def pixels(self, job: Job) -> int:
        try:
            return 0 if self.done(job) else math.prod(measure(job.source))
        except (UnreadableImage, OSError):  # whoever reads it says why
            return 0

    def read(self, job: Job) -> Picture | str:
        if self.done(job):
            return "skip"
        if self.tiler and self.tiler.streams(path_of(job.source)):
            return "stream"
        return read_picture(job.source, span=self.tiler.span if self.tiler else None)

    def instead(self, job: Job, what: str) -> None:
        if what == "skip":
            self.outcome.skipped += 1
        else:
            self._stream(job)

    def _stream(self, job: Job) -> None:
        """Translate a file that is never held as a whole, to a TIFF."""
        place = job.output("tif")

        def stream() -> None:
            assert self.tiler
            if self.format not in (None, "tif"):
                raise UserError(f"too large for {self.format}; give --format tif")
            if self._is_input(place):
                raise UserError(f'would overwrite the input "{place}"; choose another --out')
            self.make_folder(place.parent)
            self.tiler.stream(path_of(job.source), place)

        self.attempt(job, place, stream)

    def done(self, job: Job) -> bool:
        """Whether its translation stands in `out`, and is to be left there."""
        if self.overwrite:
            return False
        places = [job.output(f) for f in ((self.format,) if self.format else FORMATS)]
        return any(os.path.lexists(p) and not self._is_input(p) for p in places)

    def write(self, place: Path, content: bytes) -> None:
        if self._is_input(place):
            raise Unwritable(f'would overwrite the input "{place}"; choose another --out')
        self.make_folder(place.parent)
        write_whole(place, content)

    def make_folder(self, folder: Path) -> None:
        """Make an output folder; for `out` itself, UserError if that fails."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if folder == self.out and not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            if folder != self.out:
                raise
            raise UserError(
                f'cannot write to "{folder}": {reason_of(error)}; choose another --out'
            ) from None

    def _is_input(self, place: Path) -> bool:
        """Whether writing `place` would touch an input, by whatever name or link."""
        return place.exists() and _identity(place) in self.protected


def _identity(path: Path) -> tuple[int, int] | None:
    """What all names and links of one file have in common; None if it isn't there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _inside(path: Path, folder: Path, among: Path) -> bool:
    """Whether an image found under `among` is really an output of an earlier run, in `folder`."""
    inside = folder.resolve().is_relative_to(among.resolve())
    return inside and path.resolve().is_relative_to(folder.resolve())
