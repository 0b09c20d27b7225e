"""What names a repository of the Hub: user/name, user/name@revision."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from unpaired.errors import UserError

WEIGHTS = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")
"""Endings of files of weights; a name that ends so is a path."""
PART = r"[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9_])?"
NAME = re.compile(rf"({PART}/{PART})(?:@([\w][\w./-]{{0,199}}))?", re.ASCII)


@dataclass(frozen=True)
class HubName:
    """One repository, and where in its history."""

    repo: str
    """user/name"""
    revision: str | None = None
    """A branch, a tag or a commit; None: the main branch."""

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision}" if self.revision else self.repo


def hub_name(text: str) -> HubName | None:
    """The repository that `text` may name; None if it can't be one."""
    found = NAME.fullmatch(text)
    if not found or PurePosixPath(text).suffix.lower() in WEIGHTS:
        return None
    repo, revision = found.groups()
    if "--" in repo or ".." in repo or repo.endswith(".git") or ".." in (revision or ""):
        return None
    return HubName(repo, revision)


def need_hub_name(text: str) -> HubName:
    """Raises: UserError if it can't be the name of a repository."""
    if (name := hub_name(text)) is None:
        raise UserError(
            f'"{text}" is no name of a repository on the Hub; give user/name, of letters, digits '
            'and single "-", "_", "."'
        )
    return name
