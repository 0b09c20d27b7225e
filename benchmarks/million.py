"""Are a million pictures translated once each, whole, however often their ranks are killed?

`python -m benchmarks.million --images 20000 --kills 20 --ranks 2 --seed 0`: pictures of 16 x 16
pixels through a tiny network by `torchrun ... -m unpaired translate`, whose processes are all
killed (SIGKILL) at random moments, a quarter of them while they start, and begun again; the last
session is left to end. Then every output is compared with the translation made here, picture by
picture, and the summary with what lies there. What stood before a session must not have been
touched by it. `--shards` does the same with tar shards of 100 pictures. Prints counts; exit code 1
if any is wrong. `--out` keeps the work; called again, it goes on where it was. `--json FILE` keeps
the counts, every kill, the command, the seed and the commit.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import random
import shlex
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from unpaired.bench.translation import write_untrained
from unpaired.methods.cyclegan import CycleGANConfig
from unpaired.training.config import TrainConfig
from unpaired.translation.translator import Translator

EACH = 100  # pictures of a shard, and of a sub-folder
SIDE = 16


def network(place: Path) -> Path:
    """The smallest ResNet, exported: it starts without torch."""
    if not place.exists():
        settings = CycleGANConfig(filters=4, blocks=1)
        write_untrained(TrainConfig(method="cyclegan", settings=settings, size=SIDE), place)
    return place


def pixels(number: int) -> np.ndarray:
    """(16, 16, 3) uint8, unlike every other."""
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def encoded(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels(number)).save(buffer, "PNG")
    return buffer.getvalue()


def write_folder(folder: Path, count: int) -> None:
    for number in range(count):
        path = folder / f"{number // EACH:04}" / f"{number:08}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(number))


def write_shards(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(-(-count // EACH)):
        with tarfile.open(folder / f"s-{shard:04}.tar", "w") as tar:
            for number in range(shard * EACH, min(count, (shard + 1) * EACH)):
                for suffix, content in (("png", encoded(number)), ("cls", b"%d" % number)):
                    member = tarfile.TarInfo(f"{number:08}.{suffix}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))


def outputs(out: Path) -> dict[str, tuple[int, int]]:
    """Every file under a final name: its inode and when it was written."""
    found = {}
    for path in out.rglob("*"):
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(out).parts):
            status = path.stat()
            found[path.relative_to(out).as_posix()] = (status.st_ino, status.st_mtime_ns)
    return found


def count_of(out: Path) -> int:
    """How many there are, without asking for each."""
    walk = os.walk(out)
    return sum(
        not name.startswith(".") for at, _, files in walk for name in files if "/." not in at
    )


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """torchrun and its ranks at once, as when a machine dies."""
    family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(True))]
    for pid in family:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            print(f"  {pid} had ended by itself")
    process.wait()
    deadline = time.monotonic() + 60
    while any(psutil.pid_exists(pid) for pid in family[1:]) and time.monotonic() < deadline:
        time.sleep(0.05)


def command(run: Path, sources: str, out: Path, ranks: int, summary: Path) -> list[str]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(ranks)]
    own = ["-m", "unpaired", "translate", str(run), sources, "--out", str(out)]
    return [*torchrun, *own, "--backend", "onnx", "--json", str(summary)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shards", action="store_true", help="tar shards instead of files")
    parser.add_argument("--out", type=Path, help="keep the work here, and go on with it")
    parser.add_argument("--json", type=Path, help="write what was found to this file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(campaign(given, given.out or Path(scratch)))


def campaign(given: argparse.Namespace, work: Path) -> int:
    work.mkdir(parents=True, exist_ok=True)
    run, folder, out = network(work / "tiny.onnx"), work / "in", work / "out"
    if not (work / "written").exists():
        (write_shards if given.shards else write_folder)(folder, given.images)
        (work / "written").touch()
    shards = -(-given.images // EACH)
    sources = f"{folder}/s-{{0000..{shards - 1:04}}}.tar" if given.shards else str(folder)
    everything = shards if given.shards else given.images
    summary, log = work / "summary.json", (work / "log.txt").open("ab")
    call = command(run, sources, out, given.ranks, summary)
    state = work / "kills.json"
    kills: list[dict[str, float]] = json.loads(state.read_text()) if state.exists() else []
    touched = 0
    for number in range(len(kills), given.kills):
        rng = random.Random(f"{given.seed}/{number}")
        before = outputs(out) if out.exists() else {}
        share = (everything - len(before)) / (given.kills - number + 1)
        early = rng.random() < 0.25
        target, pause = len(before) + rng.uniform(0, 2 * share), rng.uniform(0, 0.3)
        began = time.monotonic()
        process = subprocess.Popen(call, stdout=log, stderr=log)
        if early:  # while it starts
            time.sleep(rng.uniform(0, 8))
        else:
            while process.poll() is None and count_of(out) < target:
                time.sleep(0.2)
            time.sleep(pause)
        if process.poll() is not None:
            if process.returncode:
                raise SystemExit(f"a session failed by itself; see {work / 'log.txt'}")
            print("  it had ended by itself")
        kill_all(process) if process.poll() is None else None
        after = outputs(out) if out.exists() else {}
        touched += sum(after.get(name) != status for name, status in before.items())
        seconds = round(time.monotonic() - began, 1)
        counted = {"before": len(before), "after": len(after), "touched": touched}
        kills.append({"seconds": seconds, **counted})
        state.write_text(json.dumps(kills))
        print(f"kill {number + 1}: after {seconds} s, {len(after)} of {everything}", flush=True)
    before = outputs(out)
    ended = subprocess.run(call, stdout=log, stderr=log, check=False).returncode
    after = outputs(out)
    touched = (kills[-1]["touched"] if kills else 0) + sum(
        after.get(name) != status for name, status in before.items()
    )
    counts = json.loads(summary.read_text())
    wrong = compare(given, run, out)
    left = [p.name for p in out.rglob("*.part")]
    print(f"exit code of the last session: {ended}")
    print(f"outputs: {len(after)} of {everything}; of pictures wrong, missing or too many: {wrong}")
    print(f"outputs of earlier sessions that were written again: {int(touched)}")
    print(f"half-written files left under passing names: {len(left)}")
    print(
        f"summary: {counts['translated']} translated + {counts['skipped']} skipped + "
        f"{len(counts['failed'])} failed = {counts['sources']} of {given.images}"
    )
    good = not ended and len(after) == everything and not wrong and not touched
    good = good and counts["sources"] == given.images and not counts["failed"]
    if given.json:
        found = {
            "command": shlex.join(["python", "-m", "benchmarks.million", *sys.argv[1:]]),
            "commit": commit(),
            "python": platform.python_version(),
            "images": given.images,
            "ranks": given.ranks,
            "seed": given.seed,
            "as wanted": good,
            "exit code of the last session": ended,
            "outputs": len(after),
            "pictures wrong, missing or too many": wrong,
            "outputs written again": int(touched),
            "left under passing names": len(left),
            "summary of the last session": {**counts, "failed": len(counts["failed"])},
            "kills": kills,
        }
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0 if good else 1


def commit() -> str:
    """Of the code that ran; ends in -dirty if it was changed since, is empty outside of git."""
    call = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    found = subprocess.run(
        call, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return found.stdout.strip()


def compare(given: argparse.Namespace, run: Path, out: Path) -> int:
    """Pictures that are missing, too many, or not what the network makes of their source."""
    translate = Translator.load(run, backend="onnx")
    if given.shards:
        found = {
            name: content
            for path in sorted(out.glob("*.tar"))
            for name, content in pictures_of(path)
        }
    else:
        found = {p.name: p.read_bytes() for p in out.rglob("*.png")}
    wrong = len(found.keys() ^ {f"{n:08}.png" for n in range(given.images)})
    for number in range(given.images):
        content = found.get(f"{number:08}.png")
        if content is not None:
            with Image.open(io.BytesIO(content)) as image:
                made = np.asarray(image)
            wrong += not np.array_equal(made, translate(pixels(number)))
    return wrong


def pictures_of(shard: Path) -> list[tuple[str, bytes]]:
    """Also sees that each picture's label still follows it."""
    with tarfile.open(shard) as tar:
        members = [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]
    for (name, _), (label, content) in zip(members[::2], members[1::2]):
        assert label == name.replace(".png", ".cls")
        assert int(content) == int(name.removesuffix(".png"))
    return members[::2]


if __name__ == "__main__":
    main()
