"""Tar files of pictures (WebDataset's shards) as byte ranges: which picture lies where.

    for url in shard_urls("https://host/train-{000..123}.tar"):
        for entry in index(url):
            entry.name, entry.offset, entry.size
            read(entry)

Nothing is ever unpacked or unpickled: members that aren't plain files of pictures are passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from unpaired.cache import cache_folder
from unpaired.data.decode import IMAGE_SUFFIXES
from unpaired.data.picture import MAX_BYTES
from unpaired.data.remote import (
    expand,
    filesystem,
    glob,
    log,
    patiently,
    protocols_of,
)
from unpaired.errors import UserError, reason_of, without_credentials

PLAIN, PACKED = (".tar",), (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
STREAM = "#stream"  # ends a URL whose shards are to be read from end to end
BLOCK = 1 << 20  # bytes asked for at once while looking for headers
VERSION = 2  # of indices that are kept


class DamagedShard(Exception):  # noqa: N818 - the file is at fault
    """A shard that can't be used as a whole. `reason` says why in a few words."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url}: {reason}")
        self.url, self.reason = url, reason


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture in a shard: `name` as the shard has it, and its bytes' place."""

    url: str
    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class Shard:
    """One tar file.

    Attributes:
        seekable: pictures can be read one by one; else only all of them, one after the other.
        state: another one as soon as the file changes, as far as its server tells.
        entries: its pictures, in the order in which they lie.
    """

    url: str
    seekable: bool
    state: str
    entries: tuple[Entry, ...]


def is_shards(spec: str) -> bool:
    """Whether a domain is given as shards."""
    return spec.removesuffix(STREAM).lower().endswith((*PLAIN, *PACKED))


def shard_urls(spec: str) -> list[str]:
    """Braces and asterisks spelt out. Raises: UserError if nothing matches."""
    urls = [url for pattern in expand(spec.removesuffix(STREAM)) for url in glob(pattern)]
    if not urls:
        raise UserError(f'no shards match "{spec}"; check the path')
    if len(set(urls)) < len(urls):
        raise UserError(f'"{spec}" names a shard twice; check the braces')
    return urls


def index(url: str) -> list[Entry]:
    """The pictures of one tar file. Raises: DamagedShard, UserError."""
    return list(open_shard(url).entries)


def read(entry: Entry) -> bytes:
    """The bytes of one picture.

    Raises: UserError if the shard can't be read any more, for which no other picture can stand in.
    """
    files, path = filesystem(entry.url)
    end = entry.offset + entry.size
    try:
        content: bytes = patiently(files.cat_file, path, start=entry.offset, end=end)
    except OSError as error:
        raise _gone(entry.url, error) from None
    if len(content) != entry.size:
        raise _gone(entry.url, f"{len(content)} bytes where {entry.size} were asked for")
    return content


def open_shard(url: str, stream: bool = False) -> Shard:
    """Find the pictures of one tar file, or what is known of them from the last time.

    Args: stream: as if it weren't seekable.
    Raises: DamagedShard, UserError if it can't be reached.
    """
    files, path = filesystem(url)
    try:
        facts = patiently(files.info, path)
    except OSError as error:
        raise _gone(url, error) from None
    if facts.get("type") == "directory":
        raise UserError(f'"{url}" is a folder; name the tar files in it: {url}/*.tar')
    if facts.get("islink") or facts.get("type") != "file":
        facts = {**facts, **_followed(path)}
    state = _state(facts)
    named = hashlib.sha256(f"{url}{STREAM if stream else ''}".encode()).hexdigest()[:24]
    file = cache_folder("shards") / f"{named}.json"
    if (kept := _kept(file, url, state) if state else None) is not None:
        return kept
    try:
        seekable = url.lower().endswith(PLAIN) and not stream
        seekable = seekable and patiently(_has_ranges, files, path, facts)
        places = _found(files, path, facts.get("size"), seekable)
    except (tarfile.TarError, EOFError, ValueError, zlib.error) as error:
        raise DamagedShard(url, str(error) or "not a tar file") from None
    except OSError as error:
        raise _gone(url, error) from None
    entries = tuple(Entry(url, *place) for place in places)
    shard = Shard(url, seekable, state or digest(places), entries)
    if state:
        _keep(file, shard)
    return shard


def _followed(path: str) -> dict[str, Any]:
    """What a link of the local disk leads to. Raises: DamagedShard if it is no regular file."""
    if not Path(path).is_file():
        raise DamagedShard(path, "not a regular file")
    facts = Path(path).stat()
    return {"size": facts.st_size, "mtime": facts.st_mtime}


def _state(facts: dict[str, Any]) -> str:
    """Size, time and tag of a file, as far as they are known; empty if nothing tells a change."""
    known = [facts.get(n) for n in ("ETag", "etag", "mtime", "LastModified", "last_modified")]
    known += [facts.get(n) for n in ("created", "updated", "md5Hash", "ino")]
    if not any(known):
        return ""
    return digest([facts.get("size"), *map(str, known)])


def digest(told: object) -> str:
    """24 hex digits of something plain; others as soon as it changes."""
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]


def _has_ranges(files: Any, path: str, facts: dict[str, Any]) -> bool:
    """Whether a part of a file can be had without the rest; web servers are tried."""
    if not {"http", "https"} & {*protocols_of(files)}:
        return True
    if not facts.get("size") or not facts.get("partial", True):
        return False
    options = {"block_size": tarfile.BLOCKSIZE, "cache_type": "none", "size": facts["size"]}
    with files.open(path, "rb", **options) as file:
        file.seek(1)
        try:
            return len(file.read(1)) == 1
        except ValueError:  # fsspec's word for an answer that is all of the file
            return False


Place = tuple[str, int, int]


def _found(files: Any, path: str, size: int | None, seekable: bool) -> list[Place]:
    """Walk through the headers. Raises: tarfile.TarError, ValueError, OSError."""
    if not seekable:
        with opened_stream(files, path) as file:
            return [place for place, _ in walk(file)]
    options = {"block_size": BLOCK, "cache_type": "readahead"}
    local = "file" in protocols_of(files)
    with files.open(path, "rb", **({} if local else options)) as file:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            places = [place for member in archive if (place := _picture(member))]
            at = archive.offset
        file.seek(at)
        end = file.read(BLOCK)  # a header of zeros isn't the end
        if len(end) < tarfile.BLOCKSIZE or any(end):
            raise ValueError(f"damaged or cut short at byte {at}")
        size = size if size is not None else file.seek(0, os.SEEK_END)
        if any(offset + length > size for _, offset, length in places):
            raise ValueError("cut short")
    return places


def opened_stream(files: Any, path: str) -> IO[bytes]:
    """To be read from its beginning to its end, without asking for ranges."""
    local = bool({"file", "memory"} & {*protocols_of(files)})
    return files.open(path, "rb", **({} if local else {"block_size": 0}))


def walk(file: IO[bytes]) -> Iterator[tuple[Place, tarfile.ExFileObject | Any]]:
    """Every picture of a tar file, packed or not, that is read once: its place and its content.

    The content has to be read, if at all, before the next one is asked for.

    Raises: tarfile.TarError, ValueError, OSError.
    """
    with tarfile.open(fileobj=file, mode="r|*") as archive:
        for member in archive:
            if place := _picture(member):
                yield place, archive.extractfile(member)
            archive.members.clear()  # type: ignore[attr-defined]  # which it would collect
        blocks = 0
        while rest := archive.fileobj.read(tarfile.BLOCKSIZE):
            blocks += 1
            if any(rest):
                raise ValueError(f"damaged at byte {archive.offset}")
        if not blocks:
            raise ValueError("cut short")


def _picture(member: tarfile.TarInfo) -> Place | None:
    """Where a member's bytes lie, if it is a plain file with a picture's suffix."""
    name = PurePosixPath(member.name)
    hidden = any(p.startswith(".") and p not in (".", "..") for p in name.parts)
    if not member.isreg() or member.issparse() or hidden:
        return None
    if name.suffix.lower() not in IMAGE_SUFFIXES or not 0 <= member.size <= MAX_BYTES:
        return None
    return member.name, member.offset_data, member.size


def _kept(file: Path, url: str, state: str) -> Shard | None:
    """What was found in this very file before, if that is there and whole."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        if (told["version"], told["url"], told["state"]) != (VERSION, url, state):
            return None
        entries = [Entry(url, str(n), int(offset), int(size)) for n, offset, size in told["places"]]
        return Shard(url, bool(told["seekable"]), state, tuple(entries))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(file: Path, shard: Shard) -> None:
    """Save an index for the next time; a cache folder that can't be written costs time only."""
    places = [(entry.name, entry.offset, entry.size) for entry in shard.entries]
    told = {"version": VERSION, "url": shard.url, "state": shard.state}
    told |= {"seekable": shard.seekable, "places": places}
    fresh = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(told), encoding="utf-8")
        fresh.replace(file)
    except OSError as error:
        log.warning("cannot keep the index of %s: %s", shard.url, error.strerror)


def _gone(url: str, why: object) -> UserError:
    reason = reason_of(why) if isinstance(why, OSError) else why
    shown = without_credentials(url)
    return UserError(f'cannot read "{shown}": {reason}; check the address and the network')
