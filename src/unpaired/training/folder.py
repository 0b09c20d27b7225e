"""The run folder: who may write into it, and what to say when nobody can."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import quote

from unpaired.errors import UserError
from unpaired.locks import HeldError, held
from unpaired.whole import is_passing


def may_continue(out: Path, resume: bool) -> bool:
    """Whether there is a checkpoint to continue from; False: the run starts anew.

    A run that was stopped before its first checkpoint starts anew under `resume`.

    Raises: UserError if `out` is taken by something else, or its config.yaml is gone, or its name
        is one that TensorBoard's and other libraries can't write to.
    """
    try:
        str(out).encode()
    except UnicodeEncodeError:
        raise UserError(
            f'--out "{out}" is not written in UTF-8, which a run needs; choose another name'
        ) from None
    if resume and has_checkpoints(out):
        return True
    taken = out.exists() and (not out.is_dir() or any(not is_passing(p) for p in out.iterdir()))
    if taken and not (resume and (out / "config.yaml").is_file()):
        if resume:
            raise UserError(f'"{out}" is not empty and no run; choose another --out')
        raise UserError(f'"{out}" is not empty; choose another --out, or continue it with --resume')
    return False


def has_checkpoints(out: Path) -> bool:
    """Whether there is something to continue from.

    Raises: UserError if there is, but not the configuration that it was trained with.
    """
    folder = out / "checkpoints"
    if not (folder.is_dir() and any(folder.glob("step_*"))):
        return False
    if not (out / "config.yaml").is_file():
        raise UserError(
            f'"{out}" has checkpoints but no config.yaml, without which it can\'t be continued; '
            "put its config.yaml back, or give another --out to start anew"
        )
    return True


def refuse_links(run: Path) -> None:
    """Refuse to write into a run folder whose links lead out of it; it may come from anyone.

    Raises: UserError that names the link.
    """
    root = run.resolve()
    for at, folders, files in os.walk(run):
        for name in (*folders, *files):
            path = Path(at) / name
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
                raise UserError(
                    f'"{path}" is a link that leads out of the run folder, where nothing is to be '
                    "written; put there what it stands for, or remove it"
                )


@contextlib.contextmanager
def lock(out: Path, say: Callable[[str], None], patience: float = 0.0) -> Iterator[None]:
    """Hold the run folder until the context, or this process, ends.

    Args:
        say: told where folders can't be locked (Windows, some networks): then nobody is kept out.
        patience: seconds to wait for a process that holds it but is about to end.
    Raises: UserError if another process holds it.
    """
    try:
        with held(out, patience, say):
            yield
    except HeldError:
        raise UserError(
            f'another process is training in "{out}"; wait for it, or give another --out'
        ) from None


@contextlib.contextmanager
def folder_errors(out: Path) -> Iterator[None]:
    """A full or read-only disk is the user's to mend: one line."""
    try:
        yield
    except OSError as error:
        if error.strerror is None:
            raise
        where = error.filename or out
        raise UserError(
            f'cannot write "{where}": {error.strerror.lower()}; make room or mend the folder, then '
            f"continue with: unpaired train --out {quote(str(out))} --resume"
        ) from None


def note_skipped(out: Path, name: str, reason: str) -> None:
    """A line in skipped.txt, once, however often the run is resumed."""
    path, line = out / "skipped.txt", f"{name}\t{reason}\n"
    if not (path.exists() and line in path.read_text(encoding="utf-8")):
        with path.open("a", encoding="utf-8") as file:
            file.write(line)
