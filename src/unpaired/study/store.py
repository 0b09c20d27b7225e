"""What is kept of a study: SQLite, where an answer that was acknowledged is never lost."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unpaired.errors import UserError
from unpaired.study.assignment import arms_of, make_session
from unpaired.study.design import Design, parse_design
from unpaired.study.pictures import Picture

SCHEMA = """
CREATE TABLE study (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE picture (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, arm TEXT NOT NULL, name TEXT NOT NULL) STRICT;
CREATE TABLE session (
  id TEXT PRIMARY KEY, arm TEXT NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL,
  began REAL NOT NULL, ended REAL, consent_version TEXT NOT NULL, consented REAL NOT NULL,
  accessible INTEGER NOT NULL, platform TEXT NOT NULL, person TEXT, submit TEXT NOT NULL,
  screen TEXT NOT NULL, last_seen REAL NOT NULL) STRICT;
CREATE UNIQUE INDEX one_session_per_person ON session (platform, person) WHERE person IS NOT NULL;
CREATE TABLE trial (
  session TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE, position INTEGER NOT NULL,
  phase TEXT NOT NULL, left_picture TEXT NOT NULL, right_picture TEXT NOT NULL, truth TEXT NOT NULL,
  left_address TEXT NOT NULL UNIQUE, right_address TEXT NOT NULL UNIQUE,
  exposed REAL, answered REAL, choice TEXT, reaction REAL, report TEXT,
  PRIMARY KEY (session, position)) STRICT;
"""
SILENT = 1800.0  # seconds after which an unfinished session no longer counts as under way


@dataclass(frozen=True)
class Begun:
    """What the server knows of who begins."""

    consent_version: str
    accessible: bool = False
    platform: str = ""
    """"prolific", "mturk" or "" for a plain link."""
    person: str | None = None
    """The platform's id of the participant; nobody takes part twice."""
    submit: str = ""
    """Where the platform wants to be told of the end."""
    screen: str = "{}"
    """What the screen check found, JSON."""


class Store:
    """One study's database; safe from several threads of one process."""

    def __init__(self, path: Path) -> None:
        """Raises: UserError if there is no study at `path`."""
        if not path.is_file():
            raise UserError(f'no study at "{path.parent}"; make one with: unpaired study create')
        self.path = path
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=30
            )
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.execute("PRAGMA secure_delete = ON")
            self.pictures = [
                Picture(**row) for row in self._rows("SELECT id, kind, arm, name FROM picture")
            ]
        except (sqlite3.Error, TypeError) as error:
            raise UserError(f'"{path}" is no study ({error})') from None

    @classmethod
    def create(cls, path: Path, pictures: Sequence[Picture], about: dict[str, Any]) -> Store:
        """A new study; `about` is kept for the report."""
        with sqlite3.connect(path) as db:
            db.executescript(SCHEMA)
            db.executemany(
                "INSERT INTO picture VALUES (:id, :kind, :arm, :name)", map(asdict, pictures)
            )
            db.execute("INSERT INTO study VALUES ('about', ?)", (json.dumps(about),))
            db.execute("INSERT INTO study VALUES ('admin', ?)", (secrets.token_urlsafe(24),))
        db.close()
        return cls(path)

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._db.close()

    # What holds for the whole study

    def value(self, key: str) -> str | None:
        """A fact of the study."""
        row = self._row("SELECT value FROM study WHERE key = ?", key)
        return None if row is None else row["value"]

    def set_value(self, key: str, value: str) -> None:
        """Keep a fact of the study."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO study VALUES (?, ?)", (key, value))

    def frozen(self) -> Design | None:
        """The design that data are collected under; None before the first session."""
        text = self.value("design")
        return None if text is None else parse_design(json.loads(text), str(self.path))

    @property
    def paused(self) -> bool:
        """Whether nobody may begin."""
        return self.value("paused") == "yes"

    # Sessions

    def begin(self, design: Design, begun: Begun) -> str:
        """A new session, in the arm that has the fewest; freezes the design with the first.

        Who has a session already gets that one.

        Returns: its id, random, the key to everything the participant may do.
        Raises: UserError if the study is paused, or the design is not the frozen one.
        """
        with self._transaction() as db:
            if begun.person is not None:
                row = db.execute(
                    "SELECT id FROM session WHERE platform = ? AND person = ?",
                    (begun.platform, begun.person),
                ).fetchone()
                if row is not None:
                    return str(row["id"])
            if self.paused:
                raise UserError("the study is paused; come back later")
            frozen = self.frozen()
            if frozen is None:
                db.execute("INSERT INTO study VALUES ('design', ?)", (json.dumps(asdict(design)),))
            elif frozen != design:
                raise UserError("study.yaml was changed after data collection began; undo that")
            number = db.execute("SELECT COALESCE(MAX(number), -1) + 1 FROM session").fetchone()[0]
            arm = self._next_arm(db, design, number)
            own = db.execute("SELECT COUNT(*) FROM session WHERE arm = ?", (arm,)).fetchone()[0]
            trials = make_session(self.pictures, design, arm, own)
            key, now = secrets.token_urlsafe(24), time.time()
            db.execute(
                "INSERT INTO session VALUES (?, ?, ?, 'open', ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(key, arm, number, now, begun.consent_version, now, int(begun.accessible)),
                    *(begun.platform, begun.person, begun.submit, begun.screen, now),
                ),
            )
            db.executemany(
                "INSERT INTO trial (session, position, phase, left_picture, right_picture, truth, "
                "left_address, right_address) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        *(key, t.position, t.phase, t.left, t.right, t.truth),
                        *(t.left_address, t.right_address),
                    )
                    for t in trials
                ],
            )
            return key

    def _next_arm(self, db: sqlite3.Connection, design: Design, number: int) -> str:
        """The arm with the fewest sessions that are done or under way; ties turn round."""
        counts = dict.fromkeys(arms_of(self.pictures, design), 0)
        for row in db.execute(
            "SELECT arm, COUNT(*) AS n FROM session "
            "WHERE state = 'done' OR (state = 'open' AND last_seen > ?) GROUP BY arm",
            (time.time() - SILENT,),
        ):
            if row["arm"] in counts:
                counts[row["arm"]] = row["n"]
        names = sorted(counts)
        turned = names[(design.seed + number) % len(names) :]
        turned += names[: (design.seed + number) % len(names)]
        return min(turned, key=lambda name: counts[name])

    def session(self, key: str) -> sqlite3.Row | None:
        """A session by its key."""
        return self._row("SELECT * FROM session WHERE id = ?", key)

    def sessions(self) -> list[sqlite3.Row]:
        """All, in the order they began."""
        return self._rows("SELECT * FROM session ORDER BY number")

    def remaining(self, key: str) -> list[sqlite3.Row]:
        """The trials of a session that were neither shown nor answered."""
        return self._rows(
            "SELECT * FROM trial WHERE session = ? AND exposed IS NULL AND answered IS NULL "
            "ORDER BY position",
            key,
        )

    def trials(self, key: str | None = None) -> list[sqlite3.Row]:
        """All trials, or those of one session, in their order."""
        if key is None:
            return self._rows("SELECT * FROM trial ORDER BY session, position")
        return self._rows("SELECT * FROM trial WHERE session = ? ORDER BY position", key)

    def picture_at(self, address: str) -> str | None:
        """The id of the picture behind a random address."""
        row = self._row(
            "SELECT CASE left_address WHEN ?1 THEN left_picture ELSE right_picture END AS id "
            "FROM trial WHERE left_address = ?1 OR right_address = ?1",
            address,
        )
        return None if row is None else str(row["id"])

    def truth_at(self, address: str) -> tuple[str, str]:
        """(phase, the side that is right) of the trial behind a picture's address.

        Raises: KeyError if there is none.
        """
        row = self._row(
            "SELECT phase, truth FROM trial WHERE left_address = ?1 OR right_address = ?1", address
        )
        if row is None:
            raise KeyError(address)
        return str(row["phase"]), str(row["truth"])

    def expose(self, key: str, position: int) -> bool:
        """Note that a trial is being shown: it is never shown again. False if it was before."""
        with self._transaction() as db:
            now = time.time()
            db.execute("UPDATE session SET last_seen = ? WHERE id = ?", (now, key))
            done = db.execute(
                "UPDATE trial SET exposed = ? WHERE session = ? AND position = ? "
                "AND exposed IS NULL AND answered IS NULL",
                (now, key, position),
            )
            return done.rowcount == 1

    def answer(
        self,
        key: str,
        position: int,
        choice: str,
        reaction: float,
        report: dict[str, Any],
        *,
        least: float = 0.0,
    ) -> sqlite3.Row | None:
        """Keep an answer, once: a second one to the same trial changes nothing.

        Args: least: seconds that a trial is shown in a timed session; a clock that was set back
            doesn't cost anybody an answer.
        Returns: the trial as it now stands, on disk; None if there is no such trial, or it was
        never shown, or not to its end.
        """
        with self._transaction() as db:
            now = time.time()
            db.execute("UPDATE session SET last_seen = ? WHERE id = ?", (now, key))
            db.execute(
                "UPDATE trial SET answered = ?, choice = ?, reaction = ?, report = ? "
                "WHERE session = ? AND position = ? AND exposed IS NOT NULL AND answered IS NULL "
                "AND (exposed + ? <= ? OR exposed > ? OR "
                "(SELECT accessible FROM session WHERE id = trial.session))",
                (now, choice, reaction, json.dumps(report), key, position, least, now, now),
            )
            row = db.execute(
                "SELECT * FROM trial WHERE session = ? AND position = ? AND answered IS NOT NULL",
                (key, position),
            ).fetchone()
            found: sqlite3.Row | None = row
            return found

    def finish(self, key: str) -> bool:
        """Close a session of which nothing is left to show; False if something is."""
        with self._transaction() as db:
            left = db.execute(
                "SELECT COUNT(*) FROM trial WHERE session = ? AND exposed IS NULL", (key,)
            ).fetchone()[0]
            if left:
                return False
            db.execute(
                "UPDATE session SET state = 'done', ended = ? WHERE id = ? AND state = 'open'",
                (time.time(), key),
            )
            return True

    def withdraw(self, key: str) -> bool:
        """Delete all of a participant's data; True if there were any. The count stays."""
        with self._transaction() as db:
            gone = db.execute("DELETE FROM session WHERE id = ?", (key,)).rowcount == 1
            if gone:
                count = int(self.value("withdrawn") or 0) + 1
                db.execute("INSERT OR REPLACE INTO study VALUES ('withdrawn', ?)", (str(count),))
        if gone:
            with self._lock:  # the write-ahead log remembers too
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    # Below

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it on disk, or nothing."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def _row(self, query: str, *values: Any) -> sqlite3.Row | None:
        with self._lock:
            found: sqlite3.Row | None = self._db.execute(query, values).fetchone()
            return found
