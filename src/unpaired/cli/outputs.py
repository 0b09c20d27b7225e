"""Where verbs may write, checked before the work; and what became of the pictures, after it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from unpaired.errors import UserError
from unpaired.whole import write_whole

if TYPE_CHECKING:  # it brings torch
    from unpaired.translation.folder import Summary


def free_folder(parent: Path, name: str, bare: bool = False) -> Path:
    """The first folder that is not there: NAME-1, NAME-2, ...; `bare` calls the first NAME."""
    if bare and not (parent / name).exists():
        return parent / name
    number = 2 if bare else 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"


def check_writable(file: str | None, option: str = "--json") -> None:
    """Refuse an output file that can't be written before the work, not after it."""
    if file is None:
        return
    path = Path(file)
    if path.is_dir() or not path.parent.is_dir():
        wrong = "a folder" if path.is_dir() else "in a folder that is not there"
        raise UserError(f'{option} "{file}" is {wrong}; give a file in an existing folder')
    there = [path] if path.exists() else []
    if not there or (path.is_file() and not path.is_symlink()):  # it is made beside and moved there
        there.append(path.parent)
    if not all(os.access(place, os.W_OK) for place in there):
        raise UserError(f'{option} "{file}" may not be written; give another file')


def check_apart(**files: str | None) -> None:
    """Refuse two outputs that would overwrite each other; by the options' names."""
    seen: dict[Path, str] = {}
    for name, file in files.items():
        if file is None:
            continue
        option = f"--{name.replace('_', '-')}"
        other = seen.setdefault(Path(file).resolve(), option)
        if other != option:
            raise UserError(f'{other} and {option} are both "{file}"; give two files')


def tell(summary: Summary, done: str, out: str, file: str | None, **facts: str) -> int:
    """Say what became of the pictures (`done`: translated), on paper too; returns the exit code."""
    for path, reason in summary.failed:
        print(f"failed: {path}: {reason}", file=sys.stderr)
    print(
        f"{summary.translated} {done}, {summary.skipped} skipped (already there), "
        f"{len(summary.failed)} failed -> {out}"
    )
    if file:
        failed = [{"path": str(path), "reason": reason} for path, reason in summary.failed]
        counts = {done: summary.translated, "skipped": summary.skipped, "failed": failed, **facts}
        write_whole(Path(file), json.dumps(counts, indent=1))
    return 1 if summary.failed else 0
