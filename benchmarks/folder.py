"""How much faster are folders translated when reading, translating and writing overlap?

`python -m benchmarks.folder`: JPEGs made here, through a small network, to PNG. The ways take turns
in one process: one file after the other as anyone would write it, with Pillow's usual compression
and with ours; and `translate_files`. Only on an idle machine with several cores does it mean
something.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.loading import write_jpegs
from benchmarks.tiling import translator
from unpaired.data.decode import read_picture
from unpaired.translation import output
from unpaired.translation.base import BaseTranslator
from unpaired.translation.folder import translate_files
from unpaired.whole import write_whole


def one_by_one(translate: BaseTranslator, files: list[Path], out: Path, effort: int) -> None:
    """Read, translate, compress, write; then the next."""
    usual, output.PNG_EFFORT = output.PNG_EFFORT, effort
    for file in files:
        (made,) = translate.pictures([read_picture(file)])
        write_whole(out / f"{file.stem}.png", output.encode(made, "png"))
    output.PNG_EFFORT = usual


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=256, help="of the JPEGs")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3, help="at least 2")
    given = parser.parse_args()
    translate = translator(given.filters, given.blocks, "auto")
    network = translate.method.translate
    # as after training: pictures that can be compressed, not noise
    translate.method.translate = lambda x, way: x * 0.99 + network(x, way) * 0.01  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as scratch:
        files = write_jpegs(Path(scratch) / "in", given.count, given.side)
        out = Path(scratch) / "out"
        ways: dict[str, Callable[[], object]] = {
            "one by one, effort 6": lambda: one_by_one(translate, files, out, 6),
            "one by one, effort 4": lambda: one_by_one(translate, files, out, 4),
            "overlapped, effort 4": lambda: translate_files(translate, files, out),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        sizes: dict[str, int] = {}
        for number in range(given.rounds + 1):  # the first warms up
            for name, way in ways.items():
                out.mkdir()
                began = time.perf_counter()
                way()
                if number:
                    seconds[name].append(time.perf_counter() - began)
                sizes[name] = sum(file.stat().st_size for file in out.iterdir())
                shutil.rmtree(out)
        began = time.perf_counter()
        for file in files:
            translate.pictures([read_picture(file)])
        alone = (time.perf_counter() - began) / len(files)
    print(
        f"{given.count} JPEGs of {given.side} x {given.side}; {alone * 1e3:.1f} ms without writing"
    )
    for name, own in seconds.items():
        ratios = [a / b for a, b in zip(seconds["one by one, effort 6"], own)]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        each = statistics.median(own) / len(files) * 1e3
        print(
            f"  {name:22} {each:6.1f} ms each {middle:5.2f} x ({low:.2f} to {high:.2f}), "
            f"{sizes[name] / len(files) / 1e3:.1f} KB"
        )


if __name__ == "__main__":
    main()
