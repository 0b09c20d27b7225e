"""Files and folders that are either whole or not there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
import shutil
import stat
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from unpaired.errors import reason_of

NO_SYNC = (errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOTSUP)
"""What systems say whose folders can't be opened or flushed."""

log = logging.getLogger("unpaired")
_told: list[str] = []


def write_whole(path: Path, content: bytes | str, *, durable: bool = False) -> None:
    """Write a file under a passing name in the same folder, then move it to its place.

    Killed at any moment, or on a full disk, this leaves under `path` what stood there before; what
    is left under the passing name is replaced by the next attempt. A link is replaced, not
    followed. What is no file is written as it is, and so is what this process has open, such as
    /dev/stdout, wherever it leads.

    Args:
        content: text is written in UTF-8.
        durable: have it on the disk before it is moved, so that it outlives a power cut too.
    Raises: OSError.
    """
    content = content.encode() if isinstance(content, str) else content
    if (descriptor := _descriptor(path)) is not None:
        sys.stdout.flush()
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        return
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    with passing_name(path) as passing:
        passing.write_bytes(content)
        if durable:
            sync(passing)
        passing.replace(path)
    if durable:
        sync(path.parent)


def _descriptor(path: Path) -> int | None:
    """The number of the open file that it is a name of, as /dev/stdout is of 1."""
    name = str(path)
    if name in ("/dev/stdout", "/dev/stderr"):
        return 1 if name == "/dev/stdout" else 2
    found = re.fullmatch(r"(?:/dev|/proc/self)/fd/(\d{1,9})", name)
    return int(found[1]) if found else None


@contextlib.contextmanager
def passing_name(path: Path) -> Iterator[Path]:
    """Where to write what is then moved to `path`; removed if the block raises.

    Always the same name, so that what a killed process left is replaced by the next attempt; but
    another one while somebody else is writing there, who would else move our half file to `path`.
    """
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    passing = path.with_name(f".unpaired-{digest}.part")
    with contextlib.ExitStack() as held:
        if not held.enter_context(alone(passing)):
            passing = path.with_name(f".unpaired-{digest}-{uuid.uuid4().hex[:8]}.part")
        try:
            yield passing
        except BaseException:
            with contextlib.suppress(OSError):
                passing.unlink()
            raise


@contextlib.contextmanager
def passing_folder(path: Path) -> Iterator[Path]:
    """An empty folder of our own beside `path`, where it is to be moved; removed in the end.

    What killed processes have left there of the same path goes first: a process holds its folder
    by a lock that ends with it. Where there are no locks nobody can tell, and it stays.

    Raises: OSError.
    """
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    for left in path.parent.glob(f".unpaired-{digest}-*.part"):
        with _folder_held(left) as ours:
            if ours:
                shutil.rmtree(left, ignore_errors=True)
    unique = uuid.uuid4().hex[:8]
    fresh = path.with_name(f".unpaired-{unique}.part")  # which nobody looks for before it is held
    fresh.mkdir(parents=True)
    with _folder_held(fresh):
        passing = fresh.rename(path.with_name(f".unpaired-{digest}-{unique}.part"))
        try:
            yield passing
        finally:
            shutil.rmtree(passing, ignore_errors=True)


@contextlib.contextmanager
def _folder_held(folder: Path) -> Iterator[bool | None]:
    """Whether a folder is there and nobody else holds it; None: there are no locks here."""
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except ModuleNotFoundError:
        yield None
        return
    except OSError:
        yield False
        return
    try:
        ours: bool | None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = os.path.samestat(os.fstat(descriptor), folder.lstat())
        except (BlockingIOError, FileNotFoundError):
            ours = False
        except OSError:
            ours = None
        yield ours
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Whether `path` can be written without meeting somebody: another writer, or a link's target.

    By a lock that ends with its process. Where there are no locks (Windows, some networks)
    everybody is taken to be alone.

    Raises: OSError if it can't be written.
    """
    try:
        import fcntl
    except ModuleNotFoundError:
        yield True
        return
    if path.is_symlink():
        yield False
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = _is_at(descriptor, path)  # the one before us may have moved it meanwhile
        except BlockingIOError:
            ours = False
        except OSError:
            ours = True
        yield ours
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is a regular one, and the one under this name."""
    found = os.fstat(descriptor)
    try:
        return stat.S_ISREG(found.st_mode) and os.path.samestat(found, path.lstat())
    except FileNotFoundError:
        return False


def give_usual_mode(path: Path) -> None:
    """Let a file be read by whom the umask lets read new files.

    safetensors makes its files for their owner alone, and then a server or a container that runs
    as somebody else can't load a run whose other files it reads.

    Raises: OSError.
    """
    with passing_name(path) as beside:  # a new file here shows what the umask is
        beside.touch()
        path.chmod(stat.S_IMODE(beside.stat().st_mode))
        beside.unlink()


def is_passing(path: Path) -> bool:
    """Whether it is what a killed write leaves behind."""
    return path.name.startswith(".unpaired-") and path.suffix == ".part"


def sync(path: Path) -> None:
    """Flush a file or folder to disk.

    What the names in a folder are can't be flushed on some systems (Windows) and networks. What was
    written there is whole all the same, but a power cut may take the last name back, so that is
    told in the log, once in a process.

    Raises: OSError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in NO_SYNC or not path.is_dir():
            raise
        _tell_unsynced(f'"{path}" ({reason_of(error)})')


def _tell_unsynced(folder: str) -> None:
    """Once in a process: it is the file system that can't, and every checkpoint is a folder."""
    if not _told:
        _told.append(folder)
        log.warning(
            "cannot flush folders such as %s to disk; a power cut may take back the name of the "
            "file that was written last",
            folder,
        )
