"""A thousand bad image files against the decode policy: what becomes of each, memory and time.

    python -m benchmarks.bad_images [--count 1000] [--seed 0] [--limit] [--json FILE]
    python -m benchmarks.bad_images --flips 600

Every file is read in a process of its own kind, one after another, which is watched: one that
crashes it, or takes a minute of its time, is counted as such, and the next file gets a new process.
Prints counts by what was done to the file and what came out, the most memory and the slowest file;
exits with 1 if any file crashed, hung, or came out as a picture that it may not be. --limit adds
pictures of as many pixels as are let through (16384 x 16384), which take gigabytes.
--flips counts, of so many JPEGs of 256 x 256 pixels with one bit flipped each, those that are
refused.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import resource
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
import psutil
from tests.data.mutations import EITHER, Bad, chunk, mutations, outcome

MOST_SECONDS = 60.0  # of a process's own time, for one file
OUTCOMES = ("right", "other", "refused", "WRONG", "WRONGLY REFUSED", "CRASH", "HANG")


def at_the_limit() -> Iterator[Bad]:
    """Small files of pictures as large as any that are let through."""
    side = 16384
    for name, colour, channels in (("rgb", 2, 3), ("rgba", 6, 4), ("grey", 0, 1)):
        stream = zlib.compressobj()
        row = b"\0" + bytes(side * channels)
        packed = b"".join(stream.compress(row) for _ in range(side)) + stream.flush()
        head = chunk(b"IHDR", pack(">IIBBBBB", side, side, 8, colour, 0, 0, 0))
        content = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
        yield Bad(f"{name}.png", "at the limit", "PNG", content, None, 0, EITHER)


def read(connection: Connection) -> None:
    """In its own process: paths in; pixels' verdict, seconds of this process and its memory out."""
    from unpaired.data.decode import UnreadableImage, read_picture

    while (task := connection.recv()) is not None:
        path, bad = task
        started = time.process_time()
        try:
            picture = read_picture(path)
            picture.on_white()
            said, reason = outcome(bad, picture.pixels, picture.alpha), ""
            del picture
        except UnreadableImage as error:
            said, reason = ("refused" if "refused" in bad.may else "WRONGLY REFUSED"), error.reason
        except Exception as error:
            said, reason = "CRASH", repr(error)
        seconds = time.process_time() - started
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        connection.send((said, reason, seconds, memory))


class Reader:
    """A process that reads files, and is replaced when it dies."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=read, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def __call__(self, path: Path, bad: Bad) -> tuple[str, str, float, int]:
        """What came out, why, seconds, bytes of memory at most so far."""
        self.connection.send((path, replace(bad, make=None, content=b"")))
        before, waited = self._seconds(), 0
        while not self.connection.poll(1):
            waited += 1
            # a process that sleeps on a file takes no time: then by the clock, with room for pauses
            if self._seconds() - before > MOST_SECONDS or waited > 20 * MOST_SECONDS:
                self.process.kill()
                self.process.join()
                self.start()
                return "HANG", "", MOST_SECONDS, 0
        try:
            return self.connection.recv()
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            self.start()
            return "CRASH", f"exit code {code}", 0.0, 0

    def end(self) -> None:
        """Let the process end."""
        self.connection.send(None)
        self.process.join()

    def _seconds(self) -> float:
        try:
            times = psutil.Process(self.process.pid).cpu_times()
        except psutil.NoSuchProcess:
            return 0.0
        return times.user + times.system


def campaign(files: Iterator[Bad], folder: Path) -> dict[str, Any]:
    """Read every file and count."""
    reader = Reader()
    counts: Counter[tuple[str, str]] = Counter()
    by_format: Counter[tuple[str, str]] = Counter()
    faults, reasons = [], Counter[str]()
    most, slowest = 0, (0.0, "")
    for number, bad in enumerate(files):
        place = folder / str(number)
        place.mkdir()
        said, reason, seconds, memory = reader(bad.write(place), bad)
        counts[bad.kind, said] += 1
        by_format[bad.format, said] += 1
        reasons[reason.split(":")[0]] += bool(reason)
        most, slowest = max(most, memory), max(slowest, (seconds, f"{bad.kind}, {bad.name}"))
        if said not in ("right", "other", "refused"):
            faults.append(f"{said}: {bad.kind}, {bad.name} {reason}")
            print(faults[-1], flush=True)
    reader.end()
    return {
        "files": sum(counts.values()),
        "by kind": table(counts),
        "by format": table(by_format),
        "faults": faults,
        "peak MB": round(most / 2**20),
        "slowest": {"seconds": round(slowest[0], 2), "file": slowest[1]},
    }


def table(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """By row, then by outcome."""
    rows = sorted({row for row, _ in counts})
    return {row: {o: counts[row, o] for o in OUTCOMES if counts[row, o]} for row in rows}


def show(found: dict[str, Any]) -> None:
    """For people."""
    for name in ("by kind", "by format"):
        rows = found[name]
        columns = [o for o in OUTCOMES if any(o in row for row in rows.values())]
        print(f"\n| {name[3:]} | " + " | ".join(columns) + " |")
        print("|---|" + "--:|" * len(columns))
        for row, cells in rows.items():
            print(f"| {row} | " + " | ".join(str(cells.get(c, "")) for c in columns) + " |")
    slowest = found["slowest"]
    print(
        f"\n{found['files']} files, {len(found['faults'])} faults; at most {found['peak MB']} MB; "
        f"slowest {slowest['seconds']} s ({slowest['file']})"
    )


def flips(count: int, seed: int) -> str:
    """What becomes of JPEGs that have one flipped bit each, drawn from all of their bits."""
    from benchmarks.loading import write_jpegs
    from unpaired.data.decode import UnreadableImage, read_picture

    rng, ends = np.random.default_rng(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for file in write_jpegs(Path(folder) / "in", count, 256):
            whole, content = read_picture(file).pixels, bytearray(file.read_bytes())
            at = int(rng.integers(8 * len(content)))
            content[at // 8] ^= 1 << at % 8
            file.write_bytes(content)
            try:
                same = np.array_equal(read_picture(file).pixels, whole)
            except UnreadableImage:
                ends["refused"] += 1
            else:
                ends["the same picture" if same else "another picture"] += 1
    told = ", ".join(f"{end}: {number} ({number / count:.0%})" for end, number in ends.items())
    return f"{count} JPEGs with a flipped bit: {told}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", action="store_true")
    parser.add_argument("--flips", type=int, help="only this: JPEGs with one flipped bit each")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.flips:
        print(flips(options.flips, options.seed))
        return 0
    files = at_the_limit() if options.limit else mutations(options.seed, options.count)
    with tempfile.TemporaryDirectory() as folder:
        found = campaign(iter(files), Path(folder))
    found |= {"seed": options.seed, "python": platform.python_version()}
    show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 1 if found["faults"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
