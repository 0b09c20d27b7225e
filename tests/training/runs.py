"""Tiny pictures and tiny runs for the tests of training."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.tiny import tiny_config, write_pictures

from unpaired.training.card import _digest
from unpaired.training.checkpoint import _fingerprint

__all__ = ["in_process", "resealed", "seal", "tiny_config", "write_dataset", "write_pictures"]


def write_dataset(folder: Path, train: int = 7, test: int = 2) -> Path:
    """trainA, trainB, testA, testB of small random PNGs."""
    for seed, (name, count) in enumerate(
        {"trainA": train, "trainB": train - 2, "testA": test, "testB": test}.items()
    ):
        write_pictures(folder / name, count, seed)
    return folder


def resealed(card: dict) -> str:
    """The text of a checkpoint.json whose content was changed, as if it had been written so."""
    tree = {key: value for key, value in card.items() if key != "sha256"}
    return json.dumps({**tree, "sha256": _digest(tree)})


def seal(checkpoint: Path) -> None:
    """Make the card vouch for the files as they are now, so that only their content is at fault."""
    path = checkpoint / "checkpoint.json"
    files = {p.name: _fingerprint(p) for p in checkpoint.iterdir() if p != path}
    path.write_text(resealed({**json.loads(path.read_text()), "files": files}))


def in_process(script: str, *arguments: object) -> subprocess.Popen:
    """Python code in a process of its own, which can be killed."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
