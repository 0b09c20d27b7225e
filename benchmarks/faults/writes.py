"""The process is killed after each single thing that it does to the disk while it saves."""

from __future__ import annotations

import io
import math
import os
import shutil
import signal
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import safetensors.torch
from numpy.random import Generator

from benchmarks.faults.runs import Bench, start
from unpaired.training import checkpoint as module
from unpaired.training.card import Card
from unpaired.training.checkpoint import State, read_last_state, read_state
from unpaired.training.finding import checkpoints_of, find_checkpoint

PARTS = 4  # in which every file is written


class Disk:
    """Counts what is done to the disk, and calls `at_end` after the last thing it allows.

    Caught are Python's files, folders, fsync and renames; safetensors writes from Rust, so its
    `save_file` is replaced by one that writes the same bytes in parts.
    """

    def __init__(self, allowed: int | None, at_end: Callable[[Disk], None]) -> None:
        self.allowed, self.at_end = allowed, at_end
        self.done: list[str] = []
        self.unsynced: set[int] = set()
        """Inodes of files that were written and not flushed to the disk."""

    def did(self, what: str) -> None:
        self.done.append(what)
        if len(self.done) == self.allowed:
            self.at_end(self)

    def watch(self) -> None:
        """From now on, in this process."""
        for owner, name in (
            (Path, "mkdir"),
            (Path, "rename"),
            (Path, "replace"),
            (Path, "unlink"),
            (os, "rmdir"),
            (os, "unlink"),
        ):
            setattr(owner, name, self._told(getattr(owner, name), name))
        os.fsync = self._fsync(os.fsync)
        io.open = self._open(io.open)
        module.save_file = lambda tensors, path: path.write_bytes(safetensors.torch.save(tensors))

    def _told(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        @wraps(call)
        def told(*args: Any, **options: Any) -> Any:
            result = call(*args, **options)
            self.did(f"{name} {args[0] if args else ''}")
            return result

        return told

    def _fsync(self, fsync: Callable[[int], None]) -> Callable[[int], None]:
        def told(descriptor: int) -> None:
            fsync(descriptor)
            self.unsynced.discard(os.fstat(descriptor).st_ino)
            self.did("fsync")

        return told

    def _open(self, opened: Callable[..., Any]) -> Callable[..., Any]:
        def told(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            if "w" not in mode:
                return opened(file, mode, *args, **options)
            raw = io.FileIO(file, "w")
            self.unsynced.add(os.fstat(raw.fileno()).st_ino)
            self.did(f"create {file}")
            parts = _Parts(raw, self)
            buffered = io.BufferedWriter(parts, buffer_size=1 << 30)
            return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding="utf-8")

        return told


class _Parts(io.RawIOBase):
    """A file whose every write is several."""

    def __init__(self, raw: io.FileIO, disk: Disk) -> None:
        self.raw, self.disk = raw, disk

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        whole = bytes(content)
        size = -(-len(whole) // PARTS) or 1
        for at in range(0, len(whole), size):
            self.raw.write(whole[at : at + size])
            self.disk.did(f"write {self.raw.name}")
        return len(whole)

    def close(self) -> None:
        self.raw.close()
        super().close()


def killed(_: Disk) -> None:
    """What the system holds is still written; the process is gone."""
    os.kill(os.getpid(), signal.SIGKILL)


def power_cut(run: Path, rng: Generator) -> Callable[[Disk], None]:
    """The process is gone, and of each file that was not flushed only a part is there."""

    def cut(disk: Disk) -> None:
        for at, _, files in os.walk(run):
            for name in files:
                path = Path(at) / name
                status = path.stat()
                if status.st_ino in disk.unsynced:
                    os.truncate(path, int(rng.integers(0, status.st_size + 1)))
        killed(disk)

    return cut


class Saving:
    """A run at its second checkpoint, and its third state on the way to the disk."""

    def __init__(self, bench: Bench, again: bool) -> None:
        """Args: again: the checkpoint of that step is there already, as after a resume."""
        first, second = checkpoints_of(bench.undisturbed)
        self.bench, self.again, self.before = bench, again, first.name
        self.card, self.state = read_state(second)
        self.names = {first.name, second.name}

    def make(self, run: Path) -> None:
        shutil.copytree(self.bench.undisturbed, run, ignore=shutil.ignore_patterns("tensorboard"))
        if not self.again:
            shutil.rmtree(run / "checkpoints" / f"step_{self.card.step:08d}")
        (run / "latest").write_text(f"{self.before}\n")

    def events(self, allowed: int | None, end: Callable[[Disk], None], run: Path) -> list[str]:
        """Save in a child that may do `allowed` things; returns what it did, if it ended."""
        told = self.bench.folder / "events.txt"

        def work() -> int:
            disk = Disk(allowed, end)
            disk.watch()
            save(run, self.card, self.state)
            os.write(1, "\n".join(disk.done).encode())
            return 0

        ended = start(work, told).wait()
        assert ended.code in (0, -signal.SIGKILL), ended.said
        return ended.said.splitlines() if ended.code == 0 else []


def save(run: Path, card: Card, state: State) -> None:
    """What a run does when a checkpoint is due that is also its best."""
    folder = module.save_checkpoint(run, card, state)
    module.point(run, "best", folder.name)
    module.prune(run, keep=1, say=_fail)


def _fail(said: str) -> None:
    raise AssertionError(said)


def sigkill_after_each_write(bench: Bench, rng: Generator, trial: int, cut: bool = False) -> str:
    """SIGKILL after the n-th thing done to the disk; `latest` loads, the one before or the new one.

    The trials go through all things, of a new checkpoint and of one that is written again.
    """
    counts = bench.counts = bench.counts or _counts(bench)
    bench.everything = total = sum(counts)
    stride = next(n for n in range(total * 5 // 8, 0, -1) if math.gcd(n, total) == 1)
    number = trial * stride % total  # far from the last, and each once
    again = number >= counts[0]
    saving = Saving(bench, again)
    with bench.run_folder() as run:
        saving.make(run)
        end = power_cut(run, rng) if cut else killed
        saving.events(number - counts[0] * again + 1, end, run)
        found = find_checkpoint(run)
        read_state(found)
        assert found.name in saving.names, found
        refused: list[str] = []
        assert read_last_state(run, refused.append)[0] == found
        assert not refused, refused
        for folder in checkpoints_of(run):
            read_state(folder)
        save(run, saving.card, saving.state)  # the next one finds no trap
        left = {p.name for p in (run / "checkpoints").iterdir()}
        assert left == {f"step_{saving.card.step:08d}"}, left
        names = {p.name for p in run.iterdir() if ".part" in p.name}
        assert not names, names
    return "latest loads: the new one" if found.name != saving.before else "latest loads: the old"


def _counts(bench: Bench) -> list[int]:
    """How many things are done to the disk: for a new checkpoint, and for one written again."""
    counts = []
    for again in (False, True):
        with bench.run_folder() as run:
            saving = Saving(bench, again)
            saving.make(run)
            counts.append(len(saving.events(None, killed, run)))
    return counts


def power_cut_after_each_write(bench: Bench, rng: Generator, trial: int) -> str:
    """The same, and of each file that was not flushed only a part is left."""
    return sigkill_after_each_write(bench, rng, trial, cut=True)
