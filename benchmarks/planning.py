"""What a rank of millions costs beside the network: names to plan by, pictures to read and write.

`python -m benchmarks.planning`: for a share of all and of an eighth of a million names of 30
letters, in a process of its own each, the memory that they take at most and afterwards, and CPU
seconds; the memory of fsspec's listing of as many; CPU seconds to read a JPEG and to compress and
write it as a PNG, without a network between.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.loading import write_jpegs
from unpaired.data.decode import read_picture
from unpaired.translation import output
from unpaired.translation.many.share import Share
from unpaired.translation.many.sources import Sources
from unpaired.translation.many.stores import Found
from unpaired.whole import write_whole


class MadeUp:
    """A folder of so many pictures, of which only the names are there."""

    place = "/made/up"

    def __init__(self, count: int) -> None:
        self.count = count

    def names(self, but: object = None) -> Iterator[Found]:
        del but
        for number in range(self.count):
            yield Found(f"{number % 1000:04}/photograph_{number:010}.jpg", 80_000)  # 30 letters


def rss() -> float:
    """In bytes."""
    return float(psutil.Process().memory_info().rss)


def plan(count: int, ranks: int, told: Any) -> None:
    """In its own process: bytes at most and afterwards, CPU seconds."""
    before, began = rss(), time.process_time()
    store: Any = MadeUp(count)
    pieces = Sources((store,), (None,), ("",), False).pieces(Share(0, ranks), store)
    seconds = time.process_time() - began
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    told.put((most - before, rss() - before, seconds, len(pieces)))


def listing(count: int, told: Any) -> None:
    """In its own process: bytes of a listing as fsspec holds it, a dictionary for each name."""
    before = rss()
    listed = {
        f"bucket/{name}": {
            "name": f"bucket/{name}",
            "Key": f"bucket/{name}",
            "size": size,
            "Size": size,
            "type": "file",
            "ETag": f'"{at:032x}"',
            "LastModified": time.gmtime(at),
            "StorageClass": "STANDARD",
        }
        for at, (name, size) in enumerate(MadeUp(count).names())
    }
    told.put((rss() - before, len(listed)))


def alone(work: Any, *arguments: Any) -> tuple[float, ...]:
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    process = context.Process(target=work, args=(*arguments, told))
    process.start()
    found: tuple[float, ...] = told.get()
    process.join()
    return found


def copied(count: int, side: int) -> tuple[float, float]:
    """CPU seconds to read and to write a picture, and the bytes of its PNG."""
    with tempfile.TemporaryDirectory() as scratch:
        files = write_jpegs(Path(scratch) / "in", count, side)
        began, size = time.process_time(), 0
        for file in files:
            content = output.encode(read_picture(file), "png")
            write_whole(file.with_suffix(".png"), content)
            size += len(content)
        return (time.process_time() - began) / count, size / count


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--side", type=int, default=256)
    given = parser.parse_args()
    for ranks in (1, 8):
        most, after, seconds, own = alone(plan, given.names, ranks)
        print(
            f"{given.names} names, share of 1/{ranks} ({own:.0f}): {most / 1e6:.0f} MB at most, "
            f"{after / 1e6:.0f} MB after it, {seconds:.1f} CPU seconds"
        )
    held, count = alone(listing, given.names)
    print(f"a listing like s3fs's: {held / count:.0f} bytes a name")
    seconds, size = copied(given.pictures, given.side)
    print(f"a JPEG read, a PNG written: {seconds:.4f} CPU seconds, {size / 1e3:.0f} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
