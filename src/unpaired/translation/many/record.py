"""What an output folder was begun with, and what became of every share: small files in .unpaired/.

The outputs themselves say what is done; they are listed once at the start. So nothing is lost with
a killed process but the pictures it was at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from unpaired.errors import UserError, reason_of
from unpaired.translation.conveyor import Outcome
from unpaired.translation.many.share import Share
from unpaired.translation.many.stores import Store

FOLDER = ".unpaired"
HEADER = f"{FOLDER}/run.json"
VERSION = 1


@dataclass(frozen=True)
class Header:
    """What must not change between the sessions that fill one output folder."""

    checkpoint: str
    """Digest of the checkpoint, or of the exported file."""
    direction: str
    format: str | None
    tiles: str
    precision: str
    """As asked for, as is the backend."""
    backend: str
    sources: list[str]


def begin(out: Store, header: Header) -> None:
    """Claim the output folder for these settings, or see that it is theirs.

    Raises: UserError if it was begun with others, holds files of another origin, or can't be
        written to.
    """
    ours = {"version": VERSION, **asdict(header)}
    found = _read(out)
    if found is None and next(iter(out.names()), None):
        found = _read(out)  # another rank may have begun it a moment ago
        if found is None:
            raise UserError(
                f'"{out.place}" holds files already and no {HEADER}; choose an empty --out'
            )
    if found is None:
        _guarded(out, lambda: out.claim(HEADER, json.dumps(ours, indent=1).encode()))
        found = _read(out)
    for key, value in ours.items():
        if (found or {}).get(key) != value:
            raise UserError(
                f'"{out.place}" was begun with another {key}: {_short((found or {}).get(key))}, '
                f"now {_short(value)}; choose another --out"
            )


def forget(out: Store, share: Share) -> None:
    """A new session of this share begins: what its last one said is no longer so."""
    _guarded(out, lambda: out.remove(_place(share)))


def finish(out: Store, share: Share, outcome: Outcome) -> None:
    """Keep what became of a share. Raises: UserError if it can't be written."""
    content = json.dumps(asdict(outcome), indent=1).encode()
    _guarded(out, lambda: out.write(_place(share), content))


def total(out: Store, ranks: int) -> tuple[Outcome, list[int]]:
    """What became of all shares, and the ranks that have not finished theirs.

    A rank whose record is damaged has to be started again, and counts as one of these.
    """
    everything, missing = Outcome(), []
    for rank in range(ranks):
        try:
            everything.add(outcome_of(out.read(_place(Share(rank, ranks)))))
        except (FileNotFoundError, ValueError):
            missing.append(rank)
    return everything, missing


def outcome_of(content: bytes) -> Outcome:
    """As it was kept. Raises: ValueError if it is damaged."""
    kept = json.loads(content)
    try:
        failed = [(str(name), str(reason)) for name, reason in kept["failed"]]
        return Outcome(int(kept["translated"]), int(kept["skipped"]), failed)
    except (KeyError, TypeError) as error:
        raise ValueError(f"no record: {error}") from None


def in_words(ranks: Iterable[int]) -> str:
    """`rank 3`, or `ranks 3, 5`, a few of them."""
    numbers = list(ranks)
    listed = ", ".join(map(str, numbers[:8])) + (" ..." if len(numbers) > 8 else "")
    return f"rank{'s' if len(numbers) > 1 else ''} {listed}"


def _place(share: Share) -> str:
    return f"{FOLDER}/rank-{share.rank}-of-{share.ranks}.json"


def _read(out: Store) -> dict[str, object] | None:
    """The header that is there. Raises: UserError if it can't be read, or is none."""
    try:
        content = out.read(HEADER)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(
            f'cannot read "{out.place}": {reason_of(error)}; check the address and your credentials'
        ) from None
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(f'"{out.place}/{HEADER}" is damaged; choose another --out')
    return found


def _guarded(out: Store, act: Callable[[], None]) -> None:
    try:
        act()
    except OSError as error:
        raise UserError(
            f'cannot write to "{out.place}": {reason_of(error)}; choose another --out'
        ) from None


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
