"""Where verbs may write: checked before the work, not after it."""

from __future__ import annotations

import os
from pathlib import Path

from unpaired.errors import UserError


def free_folder(parent: Path, name: str, bare: bool = False) -> Path:
    """The first folder that is not there: NAME-1, NAME-2, ...; `bare` calls the first NAME."""
    if bare and not (parent / name).exists():
        return parent / name
    number = 2 if bare else 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"


def check_writable(file: str | None) -> None:
    """Refuse a `--json` that can't be written before the work, not after it."""
    if file is None:
        return
    path = Path(file)
    if path.is_dir() or not path.parent.is_dir():
        wrong = "a folder" if path.is_dir() else "in a folder that is not there"
        raise UserError(f'--json "{file}" is {wrong}; give a file in an existing folder')
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UserError(f'--json "{file}" may not be written; give another file')
