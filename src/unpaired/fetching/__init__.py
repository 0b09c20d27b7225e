"""Large files over HTTP: whole or not there, and an attempt goes on where the one before ended."""

from __future__ import annotations

import hashlib
import http.client
import logging
import shutil
import socket
import time
import urllib.error
import urllib.parse
from pathlib import Path

from unpaired.errors import UserError, reason_of, without_credentials
from unpaired.fetching.asking import NoUse, answer_of
from unpaired.fetching.state import continues, facts_file, facts_of, keep, known_of, range_of
from unpaired.meter import Show, meter

PATIENCE = 20.0  # seconds without an answer, or at less than SLOWEST, before a try is given up
SLOWEST = 1_000  # bytes per second
TRIES = 4  # in a row that don't bring the file on by STEP; between them 1, 2 and 4 seconds
STEP = 1 << 20
BLOCK = 1 << 18  # bytes read at once
MOST = 16 << 30  # bytes; no file that is fetched here comes near it
PASSING = (408, 425, 429, 500, 502, 503, 504)  # what a server may answer once and not again

log = logging.getLogger("unpaired")


def fetched(
    url: str,
    place: Path,
    *,
    sha256: str | None = None,
    most: int = MOST,
    by_hand: Path | None = None,
) -> str:
    """Download a file; until it is whole it lies beside `place`, and the next call goes on there.

    Bytes of two calls are put together only if the server promises that the file is still the same
    (by its ETag or date), or `sha256` would tell; else the download starts over. Broken
    connections, too slow ones and busy servers are tried again a few times, each told in the log.

    Args:
        url: http or https, without user and password; redirections are followed.
        sha256: of the file, if it is known. Not enforced: the caller compares what is returned.
        most: bytes that it may have.
        by_hand: where the caller looks for what people put there; None: at `place`.
    Returns: the SHA-256 of what now lies at `place`.
    Raises: UserError if it can't be had; the message says where to put the file by hand.
    """
    shown = _checked(url, by_hand or place)
    part = place.with_name(f"{place.name}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        joined = _completed(url, part, most, sha256 is not None)
        digest = file_sha256(part)
        if joined and sha256 not in (None, digest):
            log.warning("the parts don't make the file that was expected; once more from its start")
            part.unlink()
            _completed(url, part, most, True)
            digest = file_sha256(part)
        part.replace(place)
        facts_file(part).unlink(missing_ok=True)
    except OSError as error:  # of the disk; those of the network were told apart
        raise UserError(f'can\'t write "{part}": {reason_of(error)}') from None
    except NoUse as error:
        raise UserError(
            f"can't download {shown} ({error}); run this again to go on, or put that file there by "
            f"hand as {by_hand or place}"
        ) from None
    return digest


def _checked(url: str, place: Path) -> str:
    """An address as it may be shown. Raises: UserError, at once, if nothing can come from it."""
    shown = without_credentials(url)
    if not url.lower().startswith(("http://", "https://")):
        raise UserError(f'"{shown}" is no http:// or https:// address; check it')
    if "@" in url.split("/")[2]:
        raise UserError(
            f'"{shown}" was given with a user and password, which are not sent; download it '
            f"yourself, and put it there by hand as {place}"
        )
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:  # a port that is no number, half an IPv6 address
        host = None
    if not host:
        raise UserError(f'"{shown}" names no server that can be asked; check the address')
    return shown


def file_sha256(path: Path) -> str:
    """In hex digits. Raises: OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _completed(url: str, part: Path, most: int, verified: bool) -> bool:
    """Fetch until `part` is whole. Returns: whether it is put together from several answers.

    Raises: NoUse, OSError of the disk.
    """
    furthest, failures, joined = _size(part), 0, False
    with meter(part.name.removesuffix(".part")) as show:
        while True:
            before = _size(part)
            failure = _go_on(url, part, most, verified, show)
            joined |= 0 < before <= _size(part)
            if failure is None:
                return joined
            if _size(part) >= furthest + STEP:
                furthest, failures = _size(part), 0
            failures += 1
            if failures == TRIES or (isinstance(failure, socket.gaierror) and not _size(part)):
                raise NoUse(_reason(failure))
            log.warning("try %d of %d: %s", failures, TRIES, _reason(failure))
            time.sleep(2 ** (failures - 1))


def _go_on(url: str, part: Path, most: int, verified: bool, show: Show) -> Exception | None:
    """Ask once for what is missing and write it. Returns: why it isn't all, None if it is.

    Raises: NoUse, OSError of the disk.
    """
    known = known_of(part, url)
    have = _size(part) if known and (known.mark or verified) else 0
    if have and known and known.total == have:
        return None
    headers = {"Accept-Encoding": "identity", "User-Agent": "unpaired"}
    if have and known:
        headers["Range"] = f"bytes={have}-"
        if known.mark:
            headers["If-Range"] = known.mark
    try:
        answer = answer_of(url, headers, PATIENCE)
    except urllib.error.HTTPError as error:
        error.close()
        told = f"the server answers {error.code}: {' '.join(str(error.reason).split())}"
        if error.code == 416:  # what we have isn't a part of that file any more
            part.unlink(missing_ok=True)
        elif error.code not in PASSING:
            raise NoUse(told) from None
        return OSError(told)
    except (OSError, http.client.HTTPException) as error:
        return error
    with answer:
        if answer.status == 206:
            found = range_of(answer.headers)
            facts = facts_of(url, answer.headers, found[1] if found else None)
            if not have or known is None or not continues(known, facts, have, found):
                part.unlink(missing_ok=True)
                return OSError("the server sent another part of the file than was asked for")
        else:
            if answer.headers.get_content_type() == "text/html":
                raise NoUse("what arrives is a web page, not a file")
            have = 0
            facts = facts_of(url, answer.headers, answer.length)
        _room(part, facts.total, have, most)
        if not have:
            keep(part, facts)
        return _written(answer, part, have, facts.total, most, show)


def _written(
    answer: http.client.HTTPResponse,
    part: Path,
    size: int,
    total: int | None,
    most: int,
    show: Show,
) -> Exception | None:
    """Append what arrives. Returns: why it isn't all, None if it is. Raises: NoUse, OSError."""
    with part.open("ab") as file:
        since, then = time.monotonic(), size
        while True:
            try:
                block = answer.read1(BLOCK)
            except (OSError, http.client.HTTPException) as error:
                return error
            if not block:
                break
            size += len(block)
            if size > min(most, total if total is not None else most):
                raise NoUse(f"more than the {total or most:,} bytes that it should have arrive")
            file.write(block)
            show(size, total)
            if (passed := time.monotonic() - since) > PATIENCE:
                if size - then < SLOWEST * passed:
                    return TimeoutError(f"{size - then} bytes in {passed:.0f} seconds")
                since, then = time.monotonic(), size
    if total is not None and size < total:
        return OSError(f"the connection ended after {size:,} of {total:,} bytes")
    return None


def _room(part: Path, total: int | None, have: int, most: int) -> None:
    """Raises: NoUse if the file is larger than allowed, or than the free disk."""
    if total is None:
        return
    if total > most:
        raise NoUse(f"{total:,} bytes, where at most {most:,} were expected")
    if (free := shutil.disk_usage(part.parent).free) < total - have:
        raise NoUse(f"{total - have:,} bytes are missing and {free:,} free in {part.parent}")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return reason_of(error) or type(error).__name__
    return f"{type(error).__name__}: {error}".rstrip(": ")
