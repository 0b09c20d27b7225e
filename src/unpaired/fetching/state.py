"""What is known of a file on a server, so that its parts can be put together and no other's."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unpaired.whole import write_whole


@dataclass(frozen=True)
class Facts:
    """What tells one state of a file on a server from another, as far as the server says."""

    url: str
    etag: str | None
    modified: str | None
    total: int | None

    @property
    def mark(self) -> str | None:
        """For If-Range: a tag that promises the same bytes, else the date; None: neither."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


def facts_of(url: str, headers: Any, total: int | None) -> Facts:
    return Facts(url, headers.get("ETag"), headers.get("Last-Modified"), total)


def range_of(headers: Any) -> tuple[int, int | None] | None:
    """(first byte, length of the whole file, None if unknown) of a partial answer."""
    told = re.fullmatch(
        r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", headers.get("Content-Range", "")
    )
    return (int(told[1]), None if told[2] == "*" else int(told[2])) if told else None


def continues(known: Facts, facts: Facts, have: int, found: tuple[int, int | None] | None) -> bool:
    """Whether a partial answer goes on with the very file of which `have` bytes are here."""
    if found is None or found[0] != have:
        return False
    if known.etag is not None and facts.etag != known.etag:  # it has to be there: RFC 9110, 15.3.7
        return False
    pairs = (known.modified, facts.modified), (known.total, facts.total)
    return all(a is None or b is None or a == b for a, b in pairs)


def keep(part: Path, facts: Facts) -> None:
    """Begin a file anew, and note what its first bytes are of. Raises: OSError."""
    part.write_bytes(b"")  # before its facts change: the old bytes are not of them
    write_whole(facts_file(part), json.dumps(asdict(facts)))


def facts_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def known_of(part: Path, url: str) -> Facts | None:
    """What was known of the file when its first bytes came, if it came from there."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        facts = Facts(**json.loads(facts_file(part).read_text(encoding="utf-8")))
        return facts if facts.url == url else None
    return None
