"""Folders here and in object stores behind one face; nothing is ever half written."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from unpaired.data.opening import regular
from unpaired.data.remote import filesystem, patiently
from unpaired.errors import UserError, reason_of, without_credentials
from unpaired.whole import passing_name, write_whole

URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
THREADS = 16
"""That wait for a store far away; a request takes tens of milliseconds, and next to no work."""


class Found(NamedTuple):
    """A file in a listing: its name within the folder, with slashes, and its bytes (0: unknown)."""

    name: str
    size: int


class Store(ABC):
    """A folder of files, by their names relative to it.

    Attributes:
        place: where it lies, for people and for comparison; without credentials.
        threads: how many should read from it at once, None: one per processor.
    """

    place: str
    threads: int | None = None

    @abstractmethod
    def names(self, but: Store | None = None) -> Iterator[Found]:
        """Every file below it that isn't hidden (no part of its name begins with a dot).

        Nothing if there is no such folder.

        Args: but: a folder within it that is left out.
        Raises: UserError if it can't be listed.
        """

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Raises: OSError."""

    @abstractmethod
    def open(self, name: str) -> IO[bytes]:
        """To be read from its beginning to its end. Raises: OSError."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Put a file there, whole or not at all, in place of what is there. Raises: OSError."""

    @abstractmethod
    def claim(self, name: str, content: bytes) -> None:
        """Put a file there unless there is one; of several at once, one comes through.

        On object stores it may be the last one.

        Raises: OSError.
        """

    @abstractmethod
    def building(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Write a large file; it is there when the block is left without an error, else not.

        Raises: OSError.
        """

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, if it is there. Raises: OSError."""

    def holds(self, other: Store) -> bool:
        """Whether `other` is the same folder, or lies within it."""
        return f"{other.place}/".startswith(f"{self.place}/")


def open_store(place: str) -> Store:
    """The folder at a path or a URL: `file://`, and what fsspec knows (s3, gs, memory, http ...).

    Raises: UserError if the package that reads it is missing, or nothing does.
    """
    place = re.sub(r"^(file|local)://", "", place)
    return FarStore(place) if URL.match(place) else LocalStore(Path(place))


class LocalStore(Store):
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = str(folder.resolve())

    def names(self, but: Store | None = None) -> Iterator[Found]:
        def refuse(error: OSError) -> None:  # what can't be seen would be missing silently
            raise UserError(f'cannot list "{error.filename}": {reason_of(error)}; check its rights')

        if not self.folder.is_dir():
            return
        seen: set[str] = set()
        for at, folders, files in os.walk(self.folder, followlinks=True, onerror=refuse):
            here = os.path.realpath(at)
            if here in seen or (but and here == but.place):  # a link that leads back
                folders.clear()
                continue
            seen.add(here)
            folders[:] = [f for f in folders if not f.startswith(".")]
            below = os.path.relpath(at, self.folder)
            prefix = "" if below == "." else below.replace(os.sep, "/") + "/"
            yield from (Found(prefix + f, 0) for f in files if not f.startswith("."))

    def path(self, name: str) -> Path:
        return self.folder / name

    def read(self, name: str) -> bytes:
        return self.path(name).read_bytes()

    def open(self, name: str) -> IO[bytes]:
        return open(self.path(name), "rb", opener=regular)

    def write(self, name: str, content: bytes) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content, durable=True)

    def claim(self, name: str, content: bytes) -> None:
        path = self.path(name)
        own = path.with_name(f".{uuid.uuid4().hex}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(own, content, durable=True)
        try:
            with contextlib.suppress(FileExistsError):  # another came first
                path.hardlink_to(own)
        except OSError:  # a file system without links
            own.replace(path)
        finally:
            own.unlink(missing_ok=True)

    @contextlib.contextmanager
    def building(self, name: str) -> Iterator[IO[bytes]]:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with passing_name(path) as passing:
            with passing.open("w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            passing.replace(path)

    def remove(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)


class FarStore(Store):
    """A prefix of an object store, by its URL; a put is whole or not at all there.

    What fails for a moment is tried again (`patiently`), over what its client does by itself.
    """

    threads = THREADS

    def __init__(self, url: str) -> None:
        self.place = without_credentials(url).rstrip("/")
        # what is listed is listed once: keeping it would take a gigabyte for a million names
        self.files, root = filesystem(url, use_listings_cache=False)
        self.root = root.rstrip("/")

    def names(self, but: Store | None = None) -> Iterator[Found]:
        try:
            with as_oserror():
                listed: dict[str, Any] = patiently(self.files.find, self.root, detail=True)
        except FileNotFoundError:
            listed = {}
        except OSError as error:
            raise UserError(
                f'cannot list "{self.place}": {_first_line(error)}; check the address and your '
                "credentials"
            ) from None
        left_out = but.root + "/" if isinstance(but, FarStore) else None
        for path, about in listed.items():
            if left_out and path.startswith(left_out):
                continue
            name = path[len(self.root) :].lstrip("/")
            if name and not any(part.startswith(".") for part in name.split("/")):
                yield Found(name, int(about.get("size") or 0))

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def read(self, name: str) -> bytes:
        with as_oserror():
            content: bytes = patiently(self.files.cat_file, self.path(name))
        return content

    def open(self, name: str) -> IO[bytes]:
        with as_oserror():
            file: IO[bytes] = patiently(
                self.files.open, self.path(name), "rb", cache_type="readahead"
            )
        return file

    def write(self, name: str, content: bytes) -> None:
        with as_oserror():
            patiently(self.files.pipe_file, self.path(name), content)

    def claim(self, name: str, content: bytes) -> None:
        self.write(name, content)

    @contextlib.contextmanager
    def building(self, name: str) -> Iterator[IO[bytes]]:
        with tempfile.TemporaryFile() as file:  # has no name: nothing is left of it if killed
            yield file
            with as_oserror():
                patiently(self._put, file, name)

    def _put(self, file: IO[bytes], name: str) -> None:
        file.seek(0)
        far = self.files.open(self.path(name), "wb")
        try:
            shutil.copyfileobj(file, far, 1 << 22)
        except BaseException:
            far.discard()  # closing it would put what is there so far
            raise
        far.close()

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError), as_oserror():
            patiently(self.files.rm_file, self.path(name))


@contextlib.contextmanager
def as_oserror() -> Iterator[None]:
    """Every store has errors of its own; for us each is one of reading or writing."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
