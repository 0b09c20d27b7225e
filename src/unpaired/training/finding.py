"""Where the checkpoints of a run lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unpaired.errors import UserError


def find_checkpoint(source: Path, which: str = "latest") -> Path:
    """The checkpoint folder meant by a run folder and `latest`, `best` or a step number.

    `source` may also be a checkpoint folder itself.

    Raises: UserError if there is none.
    """
    if (source / "checkpoint.json").is_file():
        return source
    if not source.exists():
        raise UserError(f'no run at "{source}"; check the path')
    folders = checkpoints_of(source)
    if not folders:
        why = (
            "it has no checkpoint yet" if (source / "config.yaml").is_file() else "not a run folder"
        )
        raise UserError(f'"{source}": {why}; give the folder that `unpaired train` wrote')
    if which.isdigit():
        name = f"step_{int(which):08d}"
    elif which in ("latest", "best"):
        # `latest` is missing only if the process died between rename and pointer: take the newest
        name = pointed_at(source, which) or (folders[-1].name if which == "latest" else "")
    else:
        raise UserError(f'--checkpoint is "{which}"; give latest, best or a step number')
    if which == "latest" and name not in {f.name for f in folders}:
        name = folders[-1].name
    if name not in {f.name for f in folders}:
        have = ", ".join(str(int(f.name[5:])) for f in folders)
        raise UserError(f'"{source}" has no checkpoint "{which}"; it has steps {have}')
    return source / "checkpoints" / name


def checkpoints_of(run: Path) -> list[Path]:
    """The checkpoint folders of a run, oldest first."""
    return sorted((run / "checkpoints").glob("step_" + "[0-9]" * 8 + "*"))


def pointed_at(run: Path, name: str) -> str | None:
    """What the pointer file `name` (`latest`, `best`) says; None if it isn't there."""
    path = run / name
    if not path.is_file():
        return None
    return path.read_text(encoding="utf-8", errors="replace").strip()


def read_progress(checkpoint: Path) -> dict[str, Any]:
    """What a run said of itself at a checkpoint, such as its "seconds"; empty if it can't be read.

    Nothing is checked against fingerprints: it is for telling, not for continuing.
    """
    try:
        values = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    so_far = values.get("run") if isinstance(values, dict) else None
    return so_far if isinstance(so_far, dict) else {}
