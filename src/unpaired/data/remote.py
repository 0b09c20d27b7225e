"""Files by URL, through fsspec: local paths, http(s), object stores, and what else it knows."""

from __future__ import annotations

import errno
import itertools
import logging
import math
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from unpaired.errors import UserError, without_credentials

T = TypeVar("T")

TRIES = 4  # to read from a network; between them 1, 2 and 4 seconds
EXTRAS = {
    "http": "'unpaired[shards]'",
    "https": "'unpaired[shards]'",
    "s3": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
}
"""What fsspec needs for a protocol, beside itself."""
NO_USE = (
    *(UserError, FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError),
    NotImplementedError,
)
"""Errors that are the same at every try."""
BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})")
MOST = 10**6  # names that one pattern may stand for

log = logging.getLogger("unpaired")


def expand(pattern: str) -> list[str]:
    """`shard-{000..123}.tar` and `{a,b}.tar` spelt out, in their order.

    Raises: UserError for braces that are neither, and for more than a million names.
    """
    parts: list[list[str]] = []
    at = 0
    for braces in BRACES.finditer(pattern):
        parts += [[pattern[at : braces.start()]], _choices(braces[1], pattern)]
        at = braces.end()
        if math.prod(map(len, parts)) > MOST:
            raise _too_many(pattern)
    return ["".join(choice) for choice in itertools.product(*parts, [pattern[at:]])]


def _choices(inside: str, pattern: str) -> list[str]:
    if found := RANGE.fullmatch(inside):
        first, last = int(found[1]), int(found[2])
        if last < first:
            raise UserError(f'"{pattern}" has a range from {first} down to {last}; turn it round')
        if last < first + MOST:
            width = len(found[1]) if found[1].startswith("0") else 0
            return [str(number).zfill(width) for number in range(first, last + 1)]
        raise _too_many(pattern)
    if "," in inside:
        return inside.split(",")
    raise UserError(f'"{{{inside}}}" in "{pattern}" is no range; write {{000..123}} or {{a,b}}')


def _too_many(pattern: str) -> UserError:
    return UserError(f'"{pattern}" stands for over {MOST:,} names; give fewer at a time')


def filesystem(url: str, **options: Any) -> tuple[Any, str]:
    """fsspec's file system of a URL, and its path there.

    Args: options: of the file system, beside those that the URL has.
    Raises: UserError if fsspec or what it needs for the protocol is missing, or none is known.
    """
    protocol, shown = url.partition("://")[0], without_credentials(url)
    try:
        from fsspec.core import url_to_fs

        files, path = url_to_fs(url, **options)
    except ImportError as error:
        own = (error.name or "").startswith("fsspec")
        package = "'unpaired[shards]'" if own else EXTRAS.get(protocol)
        what = f"run: pip install {package}" if package else str(error)
        raise UserError(f'"{shown}" needs a package that is missing; {what}') from None
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise UserError(f'"{shown}": {reason}; check the protocol before ://') from None
    return files, path


def protocols_of(files: Any) -> tuple[str, ...]:
    """The names of a file system's protocol."""
    return (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)


def glob(pattern: str) -> list[str]:
    """The URLs that match, sorted; the pattern itself if it has no * or ?."""
    if not set("*?") & set(pattern.partition("://")[2] or pattern):
        return [pattern]
    files, path = filesystem(pattern)
    found = patiently(files.glob, path)
    return sorted(map(files.unstrip_protocol, found) if "://" in pattern else found)


def patiently(work: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """Do what may fail for a moment on a network, up to `TRIES` times, each told in the log.

    Raises: OSError in the end, with the last reason; at once if trying again is of no use.
    """
    for attempt in itertools.count(1):
        try:
            return work(*arguments, **options)
        except NO_USE:
            raise
        except Exception as error:  # clients of object stores have exceptions of their own
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            if attempt == TRIES:
                raise OSError(errno.EIO, reason) from error
            log.warning("try %d of %d: %s", attempt, TRIES, reason)
            time.sleep(2 ** (attempt - 1))
    raise AssertionError
