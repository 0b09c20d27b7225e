"""Full and read-only disks: small file systems in memory, which only root can mount."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from numpy.random import Generator
from PIL import Image

from benchmarks.faults.runs import Bench, command, nothing_partial, start
from unpaired.training.finding import checkpoints_of, find_checkpoint

SIZE = 16 << 20


class NotHereError(Exception):
    """This machine can't provoke the fault; the message says why."""


@contextmanager
def disk(bench: Bench) -> Iterator[Path]:
    """A disk of its own of SIZE bytes."""
    place = bench.folder / "disk"
    place.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def _mount(*arguments: object) -> None:
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise NotHereError(f"mounting is not allowed here: {done.stderr.strip()}")


@contextmanager
def ballast(place: Path, free: int) -> Iterator[None]:
    """Fill the disk until only so many bytes are free; give the room back at the end."""
    file = place / "ballast"
    taken = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize - free
    with file.open("wb") as out:
        out.truncate(0)
        os.posix_fallocate(out.fileno(), 0, max(1, taken))
    try:
        yield
    finally:
        file.unlink()


def disk_full_while_training(bench: Bench, rng: Generator) -> str:
    """The disk fills up at a random moment: one line, exit 2, nothing partial; with room again the
    run goes on and ends as if undisturbed."""
    used = sum(p.stat().st_size for p in bench.undisturbed.rglob("*") if p.is_file())
    with disk(bench) as place:
        run = place / "run"
        with ballast(place, int(rng.uniform(0, used))):
            ended = bench.train(run).wait()
            if ended.code == 0:
                bench.same(run)
                return "it fitted"
            line = ended.one_line()
            nothing_partial(run)
        if checkpoints_of(run):
            find_checkpoint(run)
        bench.finish(run)
    what = "a checkpoint" if "checkpoint" in line else "a picture" if "png" in line else "a log"
    return f"full at {what}: one line, whole, goes on bit-exact"


def disk_full_while_translating(bench: Bench, rng: Generator) -> str:
    """The same for a folder of pictures; what was written is whole, and the rest follows."""
    pictures = bench.data / "trainA"
    options = ("--backend", "torch", "--out")
    expected = bench.folder / "translated"
    log = bench.folder / "said.txt"
    if not expected.exists():
        work = command("translate", bench.undisturbed, pictures, *options, expected)
        assert start(work, log).wait().code == 0
    pages = sum(-(-p.stat().st_size // 4096) for p in expected.iterdir())
    with disk(bench) as place:
        work = command("translate", bench.undisturbed, pictures, *options, place / "out")
        with ballast(place, int(rng.integers(0, pages)) * 4096):
            line = start(work, log).wait().one_line()
            assert "no space left" in line, line
            written = list((place / "out").glob("[!.]*"))
            for path in written:
                with Image.open(path) as image:
                    image.load()
        ended = start(work, log).wait()
        assert ended.code == 0, ended.said
        for path in expected.iterdir():
            assert (place / "out" / path.name).read_bytes() == path.read_bytes(), path.name
        assert len(list((place / "out").iterdir())) == len(list(expected.iterdir()))
    return "one line, whole, the rest follows"


def disk_that_is_read_only(bench: Bench, _: Generator, trial: int) -> str:
    """A new run, a run taken up, a translation, a report: one line that names the folder."""
    with disk(bench) as place:
        run = place / "run"
        shutil.copytree(bench.undisturbed, run)
        _mount("-o", "remount,ro", place)
        what, work = {
            0: ("a new run", command("train", "--config", bench.config, "--out", place / "new")),
            1: ("a resume", command("train", "--out", run, "--resume", "--steps", 30)),
            2: (
                "a translation",
                command("translate", run, bench.data / "trainA", "--out", place / "out"),
            ),
            3: ("a json", command("data", "check", bench.data, "--json", place / "a.json")),
        }[trial % 4]
        line = start(work, bench.folder / "said.txt").wait().one_line()
        assert str(place) in line, line
    return f"{what}: one line"
