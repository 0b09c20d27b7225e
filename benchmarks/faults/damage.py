"""A checkpoint that is not what was written: bits flipped, ranges lost, files cut."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from numpy.random import Generator

from benchmarks.faults.runs import Bench
from unpaired.training.card import DamagedError
from unpaired.training.checkpoint import load_method, read_state
from unpaired.training.finding import checkpoints_of

REGIONS = 16  # of every file
KINDS = ("a bit", "zeros", "cut", "gone")


def damaged_checkpoint(bench: Bench, rng: Generator, trial: int) -> str:
    """Damage in one region of one file of the last checkpoint: refused by the file's name, and the
    run goes on from the one before and ends as if undisturbed. Trials go through all of them."""
    with bench.run_folder() as run:
        shutil.copytree(bench.undisturbed, run)
        before, last = checkpoints_of(run)
        files = sorted(last.iterdir())
        path = files[trial % len(files)]
        region = trial // len(files) % REGIONS
        kind = KINDS[int(rng.integers(len(KINDS)))]
        damage(path, region, kind, rng)
        refused_by_name(read_state, last, path)
        if path.name in ("weights.safetensors", "ema.safetensors", "checkpoint.json"):
            refused_by_name(load_method, last, path)
        ended = bench.finish(run)
        assert path.name in ended.said, ended.said
        assert f"going on from step {int(before.name[5:])} instead" in ended.said, ended.said
    return f"{kind}: refused by name, goes on from the one before, bit-exact"


def refused_by_name(read: Callable[[Path], object], checkpoint: Path, file: Path) -> None:
    """Reading the checkpoint is refused, and the message names the file."""
    said = ""
    try:
        read(checkpoint)
    except DamagedError as error:
        said = str(error)
    assert file.name in said, f"{read.__name__} takes it as whole, or says: {said}"


def damage(path: Path, region: int, kind: str, rng: Generator) -> None:
    """Change a file in one of its REGIONS, at a random place; it is another file afterwards."""
    whole = path.read_bytes()
    low, high = (len(whole) * n // REGIONS for n in (region, region + 1))
    at = int(rng.integers(low, max(low + 1, high)))
    content = bytearray(whole)
    if kind == "a bit":
        content[at] ^= 1 << int(rng.integers(8))
    elif kind == "zeros":
        content[at : max(at + 1, high)] = bytes(max(1, high - at))
    if kind == "cut" or bytes(content) == whole:
        content = content[:at]
    path.write_bytes(content)
    if kind == "gone":
        path.unlink()
