"""Checkpoints that hold everything and describe themselves.

A checkpoint is a folder::

    checkpoint.json           the card, and the size and SHA-256 of every other file
    weights.safetensors       every network of the method
    ema.safetensors           averaged weights of the networks that translate (empty if off)
    optimizers.safetensors    every optimizer's tensors, by player, parameter and name
    history.safetensors       the history buffers
    random.safetensors        torch's random states
    state.json                counters, schedule, scaler, the other random states

It is written to a new folder, synced to disk, then renamed; `latest` in the run folder is replaced
last. A killed write leaves at most a folder whose name starts with a dot.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from unpaired.data.images import ImageConfig
from unpaired.errors import UserError
from unpaired.methods import METHODS, Method
from unpaired.training.config import parse

FORMAT = 1
TENSOR_FILES = ("weights", "ema", "optimizers", "history", "random")


@dataclass(frozen=True)
class Card:
    """What a checkpoint says of itself, so that no verb ever asks for it again."""

    method: str
    settings: dict[str, Any]
    """The method's settings: architecture, norm, losses."""
    channels_x: int
    channels_y: int
    dtype_x: str
    """"uint8" or "uint16": [-1, 1] stands for its whole range."""
    dtype_y: str
    size: int
    """Side of the training crops in pixels."""
    images: dict[str, Any]
    """How images were prepared (`ImageConfig`)."""
    data: str
    """What it was trained on, in words."""
    directions: tuple[str, ...]
    multiple: int
    """Sides given to the networks must be multiples of this."""
    precision: str
    step: int
    epoch: float
    preset: str | None = None
    score: float | None = None
    """Validation score at this step, lower is better, if one was taken."""
    format: int = FORMAT

    def __post_init__(self) -> None:
        numbers = (self.channels_x, self.channels_y, self.size, self.multiple)
        if min(numbers) < 1 or not {self.dtype_x, self.dtype_y} <= {"uint8", "uint16"}:
            raise ValueError("a size, channel count or type that no checkpoint has")
        if not self.directions or not set(self.directions) <= {"x2y", "y2x"}:
            raise ValueError(f"directions {self.directions}")


@dataclass
class State:
    """A run's complete state between two steps: tensors by file and name, and plain values."""

    tensors: dict[str, dict[str, Tensor]]
    """For each of `TENSOR_FILES`, its tensors by name."""
    values: dict[str, Any]
    """Content of state.json."""


def save_checkpoint(run: Path, card: Card, state: State) -> Path:
    """Write `checkpoints/step_XXXXXXXX` whole, then point `latest` at it.

    Raises: UserError if the disk is full or not writable; earlier checkpoints are untouched.
    """
    folder = run / "checkpoints" / f"step_{card.step:08d}"
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for name in TENSOR_FILES:
            tensors = {k: v.contiguous() for k, v in state.tensors[name].items()}
            save_file(tensors, fresh / f"{name}.safetensors")
        (fresh / "state.json").write_text(json.dumps(state.values), encoding="utf-8")
        files = {p.name: _fingerprint(p) for p in sorted(fresh.iterdir())}
        text = json.dumps({**asdict(card), "files": files}, indent=1)
        (fresh / "checkpoint.json").write_text(text, encoding="utf-8")
        for path in fresh.iterdir():
            _sync(path)
        _sync(fresh)
        if folder.exists():  # the same step, reached again after a resume
            old = folder.with_name(f".old.{folder.name}.{os.getpid()}")
            folder.rename(old)
            fresh.rename(folder)
            shutil.rmtree(old)
        else:
            fresh.rename(folder)
        _sync(folder.parent)
        point(run, "latest", folder.name)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise UserError(
            f'cannot write the checkpoint "{folder}": {_reason(error)}; make room or mend the '
            f"folder, then continue with: unpaired train --out {quote(str(run))} --resume"
        ) from None
    return folder


def point(run: Path, name: str, target: str) -> None:
    """Replace the pointer file `name` (`latest`, `best`) in one step."""
    fresh = run / f".{name}.{os.getpid()}"
    fresh.write_text(target + "\n", encoding="utf-8")
    _sync(fresh)
    fresh.replace(run / name)
    _sync(run)


def prune(run: Path, keep: int) -> None:
    """Delete all but the last `keep` checkpoints and those that `latest` and `best` point at."""
    folders = _folders(run)
    kept = {f.name for f in folders[-keep:]} | {_pointed(run, "latest"), _pointed(run, "best")}
    for folder in folders:
        if folder.name not in kept:
            shutil.rmtree(folder, ignore_errors=True)
    for leftover in (run / "checkpoints").glob(".*"):
        shutil.rmtree(leftover, ignore_errors=True)


def find_checkpoint(source: Path, which: str = "latest") -> Path:
    """The checkpoint folder meant by a run folder and `latest`, `best` or a step number.

    `source` may also be a checkpoint folder itself.

    Raises: UserError if there is none.
    """
    if (source / "checkpoint.json").is_file():
        return source
    if not source.exists():
        raise UserError(f'no run at "{source}"; check the path')
    folders = _folders(source)
    if not folders:
        why = (
            "it has no checkpoint yet" if (source / "config.yaml").is_file() else "not a run folder"
        )
        raise UserError(f'"{source}": {why}; give the folder that `unpaired train` wrote')
    if which.isdigit():
        name = f"step_{int(which):08d}"
    elif which in ("latest", "best"):
        # `latest` is missing only if the process died between rename and pointer: take the newest
        name = _pointed(source, which) or (folders[-1].name if which == "latest" else "")
    else:
        raise UserError(f'--checkpoint is "{which}"; give latest, best or a step number')
    if which == "latest" and name not in {f.name for f in folders}:
        name = folders[-1].name
    if name not in {f.name for f in folders}:
        have = ", ".join(str(int(f.name[5:])) for f in folders)
        raise UserError(f'"{source}" has no checkpoint "{which}"; it has steps {have}')
    return source / "checkpoints" / name


def read_card(checkpoint: Path) -> Card:
    """The card of a checkpoint.

    Raises: UserError if it is missing, damaged or of a newer format.
    """
    return _read_card(checkpoint)[0]


def read_state(checkpoint: Path) -> tuple[Card, State]:
    """The whole state, after checking every file against the card's fingerprints.

    Raises: UserError that names the file that is missing or damaged.
    """
    card, files = _read_card(checkpoint)
    for name in (*(f"{n}.safetensors" for n in TENSOR_FILES), "state.json"):
        _check(checkpoint / name, files.get(name))
    tensors = {n: _load(checkpoint / f"{n}.safetensors") for n in TENSOR_FILES}
    return card, State(tensors, json.loads((checkpoint / "state.json").read_text(encoding="utf-8")))


def read_progress(checkpoint: Path) -> dict[str, Any]:
    """What a run said of itself at a checkpoint, such as its "seconds"; empty if it can't be read.

    Nothing is checked against fingerprints: it is for telling, not for continuing.
    """
    try:
        values = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values.get("run", {})


def build_method(card: Card) -> Method:
    """The method a card describes, freshly initialised."""
    kind = METHODS.get(card.method)
    if kind is None:
        raise UserError(f'the checkpoint needs the method "{card.method}", unknown to this version')
    settings = parse(kind.Config, card.settings, "checkpoint.json: settings")
    return kind(settings, channels_x=card.channels_x, channels_y=card.channels_y, size=card.size)


def load_method(checkpoint: Path, *, averaged: bool = True) -> tuple[Method, Card]:
    """The trained method, ready to translate: evaluation mode, on the CPU.

    Args: averaged: use the averaged (EMA) weights where the run kept them.
    Raises: UserError if a file is missing, damaged or does not fit the architecture.
    """
    card, files = _read_card(checkpoint)
    tensors: dict[str, Tensor] = {}
    for name in ("weights", "ema") if averaged else ("weights",):
        path = checkpoint / f"{name}.safetensors"
        _check(path, files.get(path.name))
        tensors.update(_load(path))
    method = build_method(card)
    restore_weights(method, tensors, checkpoint)
    return method.eval().requires_grad_(False), card


def restore_weights(method: Method, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Load weights that must fit exactly; UserError if they don't."""
    try:
        method.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:300]
        raise UserError(f'"{source}": the weights do not fit the card: {detail}') from None


def read_images(card: Card) -> ImageConfig:
    """How the run prepared its images."""
    config: ImageConfig = parse(ImageConfig, card.images, "checkpoint.json: images")
    return config


def _read_card(checkpoint: Path) -> tuple[Card, dict[str, Any]]:
    path = checkpoint / "checkpoint.json"
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        files = tree.pop("files")
        if tree["format"] > FORMAT:
            raise UserError(f'"{path}" was written by a newer version; update unpaired')
        card: Card = parse(Card, tree, f'"{path}"')
        return card, files
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f'"{path}" is damaged or missing ({_reason(error)})') from None


def _check(path: Path, expected: dict[str, Any] | None) -> None:
    if expected is None:
        raise UserError(f'"{path.parent / "checkpoint.json"}" does not list {path.name}: damaged')
    if not path.is_file():
        raise UserError(f'"{path}" is missing; the checkpoint is not whole')
    if _fingerprint(path) != expected:
        raise UserError(f'"{path}" is damaged: its content is not what was written')


def _load(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f'"{path}" is damaged: {_reason(error)}') from None


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else None
        if digest is None:  # Python 3.10
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}


def _sync(path: Path) -> None:
    """Flush a file or folder to disk; folders can't be opened on some systems (Windows)."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _folders(run: Path) -> list[Path]:
    return sorted((run / "checkpoints").glob("step_" + "[0-9]" * 8 + "*"))


def _pointed(run: Path, name: str) -> str | None:
    path = run / name
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space left on the disk"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if "No space left" in str(error):
        return "no space left on the disk"
    return f"{type(error).__name__}: {error}"
