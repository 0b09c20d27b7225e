"""Checkpoints that hold everything and describe themselves.

A checkpoint is a folder::

    checkpoint.json           the card, and the size and SHA-256 of every other file
    weights.safetensors       every network of the method
    ema.safetensors           averaged weights of the networks that translate (empty if off)
    optimizers.safetensors    every optimizer's tensors, by player, parameter and name
    history.safetensors       the history buffers
    random.safetensors        torch's random states
    state.json                counters, schedule, scaler, the other random states

A published one, made by `translation.hub.packing`, has no more than the card and the weights of the
networks that translate, averaged if the run averaged them.

It is written to a new folder, synced to disk, then renamed; `latest` in the run folder is replaced
last. A killed write leaves at most a folder whose name starts with a dot. A checkpoint that is
damaged later is refused by the name of its file, and a run goes on from the one before.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from unpaired.data.images import ImageConfig
from unpaired.errors import UserError, reason_of
from unpaired.methods import KINDS, Method
from unpaired.networks.tensors import load_tensors
from unpaired.training.card import Card, DamagedError, card_text, read_files
from unpaired.training.claims import check_claims
from unpaired.training.finding import checkpoints_of, find_checkpoint, pointed_at
from unpaired.training.parsing import parse
from unpaired.whole import give_usual_mode, sync, write_whole

TENSOR_FILES = ("weights", "ema", "optimizers", "history", "random")


@dataclass
class State:
    """A run's complete state between two steps: tensors by file and name, and plain values."""

    tensors: dict[str, dict[str, Tensor]]
    """For each of `TENSOR_FILES`, its tensors by name."""
    values: dict[str, Any]
    """Content of state.json."""


def save_checkpoint(run: Path, card: Card, state: State, *, then: str = "") -> Path:
    """Write `checkpoints/step_XXXXXXXX` whole, then point `latest` at it.

    Args: then: what a user does after mending a full disk; empty: resume the run.
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
            give_usual_mode(fresh / f"{name}.safetensors")
        (fresh / "state.json").write_text(json.dumps(state.values), encoding="utf-8")
        seal(fresh, card)
        for path in fresh.iterdir():
            sync(path)
        sync(fresh)
        old = folder.with_name(f".old.{folder.name}.{os.getpid()}")
        if folder.exists():  # the same step, reached again after a resume
            folder.rename(old)
        fresh.rename(folder)
        sync(folder.parent)
        point(run, "latest", folder.name)
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(fresh, ignore_errors=True)
        then = then or f"continue with: unpaired train --out {quote(str(run))} --resume"
        raise UserError(
            f'cannot write the checkpoint "{folder}": {reason_of(error)}; make room or mend the '
            f"folder, then {then}"
        ) from None
    return folder


def seal(folder: Path, card: Card) -> None:
    """Write the card that vouches for the files in a folder as they are. Raises: OSError."""
    files = {path.name: _fingerprint(path) for path in sorted(folder.iterdir())}
    (folder / "checkpoint.json").write_text(card_text(card, files), encoding="utf-8")


def point(run: Path, name: str, target: str) -> None:
    """Replace the pointer file `name` (`latest`, `best`) in one step."""
    write_whole(run / name, target + "\n", durable=True)


def prune(run: Path, keep: int, say: Callable[[str], None]) -> None:
    """Delete all but the last `keep` checkpoints and those that `latest` and `best` point at.

    Args: say: told of what can't be deleted, and why; it stays, and is tried again the next time.
    """
    folders = checkpoints_of(run)
    kept = {f.name for f in folders[-keep:]} | {pointed_at(run, "latest"), pointed_at(run, "best")}
    for folder in folders:
        if folder.name not in kept:  # by another name first, or a kill would leave half of it
            try:
                folder.rename(folder.with_name(f".old.{folder.name}.{os.getpid()}"))
            except OSError as error:
                say(_stays(folder, error))
    for leftover in (run / "checkpoints").glob(".*step_*"):
        try:
            shutil.rmtree(leftover)
        except OSError as error:  # which ended it: at least what else is in there goes
            shutil.rmtree(leftover, ignore_errors=True)
            say(_stays(leftover, error))


def _stays(folder: Path, error: OSError) -> str:
    return f'warning: cannot delete "{folder}": {reason_of(error)}; it takes room until you do'


def read_last_state(run: Path, say: Callable[[str], None]) -> tuple[Path, Card, State]:
    """The folder and state of `latest`; of the newest whole checkpoint before it, if it's damaged.

    Args: say: told of every checkpoint that is refused, and of the one that is taken instead.
    Raises: DamagedError if none is whole; UserError if there is none, or of a newer format.
    """
    latest, refused = find_checkpoint(run), list[DamagedError]()
    before = [folder for folder in checkpoints_of(run) if folder.name < latest.name]
    for folder in (latest, *reversed(before)):
        try:
            card, state = read_state(folder)
        except DamagedError as error:
            refused.append(error)
            continue
        for said in refused:
            say(f"warning: {said}; refused, going on from step {card.step} instead")
        return folder, card, state
    raise DamagedError(
        f"{refused[0]}; " + ("nor is one before it whole" if before else "there is none before it")
    )


def read_state(checkpoint: Path) -> tuple[Card, State]:
    """The whole state, after checking every file against the card's fingerprints.

    Raises: DamagedError that names the file that is missing or damaged.
    """
    card, files = read_files(checkpoint)
    for name in (*(f"{n}.safetensors" for n in TENSOR_FILES), "state.json"):
        _check(checkpoint / name, files.get(name))
    tensors = {n: _load(checkpoint / f"{n}.safetensors") for n in TENSOR_FILES}
    path = checkpoint / "state.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedError(f'"{path}" is damaged: {reason_of(error)}') from None
    return card, State(tensors, values)


def build_method(card: Card) -> Method:
    """The method a card describes, freshly initialised."""
    kind = KINDS.get(card.method)
    if kind is None:
        raise UserError(f'the checkpoint needs the method "{card.method}", unknown to this version')
    settings = parse(kind.Config, card.settings, "checkpoint.json: settings")
    return kind(settings, channels_x=card.channels_x, channels_y=card.channels_y, size=card.size)


def load_method(checkpoint: Path, *, averaged: bool = True) -> tuple[Method, Card]:
    """The trained method, ready to translate: evaluation mode, on the CPU.

    Args: averaged: use the averaged (EMA) weights where the run kept them.
    Raises: UserError if a file is missing, damaged or does not fit the architecture, or the card
        says of its networks what they aren't.
    """
    card, files = read_files(checkpoint)
    tensors: dict[str, Tensor] = {}
    published = not files.keys() - {"weights.safetensors"}
    for name in ("weights", "ema") if averaged and not published else ("weights",):
        path = checkpoint / f"{name}.safetensors"
        _check(path, files.get(path.name))
        tensors.update(_load(path))
    with torch.device("meta"):
        claimed = build_method(card)
    check_claims(card, claimed, sum(tensor.numel() for tensor in tensors.values()), checkpoint)
    method = build_method(card)
    restore_weights(
        method, tensors, checkpoint, only=tuple(method.translators()) if published else ()
    )
    return method.eval().requires_grad_(False), card


def check_weights(checkpoint: Path) -> None:
    """Raises: UserError if the card or the weights are missing or not what was written."""
    _, files = read_files(checkpoint)
    path = checkpoint / "weights.safetensors"
    _check(path, files.get(path.name))


def restore_weights(
    method: Method, tensors: Mapping[str, Tensor], source: Path, only: Sequence[str] = ()
) -> None:
    """Load weights that must fit exactly, and be finite; UserError if they don't.

    Args: only: the networks they are of, by the names of their attributes; empty: all of them.
    """
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise UserError(
                f'"{source}": the weights {name} are not finite numbers; give another --checkpoint'
            )
    try:
        if only:
            rest = {k: v for k, v in method.state_dict().items() if k.split(".")[0] not in only}
            tensors = {**rest, **tensors}
        method.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:300]
        raise UserError(f'"{source}": the weights do not fit the card: {detail}') from None


def read_images(card: Card) -> ImageConfig:
    """How the run prepared its images."""
    config: ImageConfig = parse(ImageConfig, card.images, "checkpoint.json: images")
    return config


def _check(path: Path, expected: dict[str, Any] | None) -> None:
    if expected is None:
        card = path.with_name("checkpoint.json")
        raise DamagedError(f'"{card}" does not list {path.name}: damaged')
    if not path.is_file():
        raise DamagedError(f'"{path}" is missing; the checkpoint is not whole')
    try:
        found = _fingerprint(path)
    except OSError as error:
        raise DamagedError(f'"{path}" is damaged: {reason_of(error)}') from None
    if found != expected:
        raise DamagedError(f'"{path}" is damaged: its content is not what was written')


def _load(path: Path) -> dict[str, Tensor]:
    try:
        return load_tensors(path)
    except (SafetensorError, OSError) as error:
        raise DamagedError(f'"{path}" is damaged: {reason_of(error)}') from None


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else None
        if digest is None:  # Python 3.10
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}
