"""Too little memory for a translation, by a limit that the system enforces."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator

from benchmarks.faults.runs import Bench, start
from benchmarks.tiling import translator
from unpaired.data.decode import Picture
from unpaired.shortage import is_shortage
from unpaired.translation.tiling.tiler import Tiler

SIDE, FILTERS = 384, 16


def little_memory_to_translate(bench: Bench, rng: Generator) -> str:
    """A batch of 4 with room for some of it, a part of it, or less: the same pictures, or one
    error that says memory is short."""
    room = int(2 ** rng.uniform(24, 29))
    expected = _made(bench, None)
    made = _made(bench, room)
    if made is None or expected is None:
        return "too little for any way: said so"
    found, said = made
    off = np.abs(found.astype(int) - expected[0])
    assert off.max() <= 1, f"{off.max()} grey levels off with {room} bytes: {said}"
    assert (off > 0).mean() < 0.01, f"{(off > 0).mean():.3f} of the values differ"
    if "smaller ones" in said:
        return "in smaller pieces: the same picture"
    if "in pieces" in said:
        return "in pieces: the same picture"
    return "fewer at once: the same picture" if "at once now" in said else "it fitted"


def _made(bench: Bench, room: int | None) -> tuple[np.ndarray, str] | None:
    """The pictures translated with so many bytes to spare, and what was said; None: not at all."""
    place = bench.folder / f"{'spared' if room else 'roomy'}.npy"
    if room is None and place.exists():
        return np.load(place), ""
    ended = start(lambda: _work(place, room), bench.folder / "said.txt").wait()
    if ended.code == 3:
        return None
    assert ended.code == 0, f"{room} bytes to spare: {ended.said[-600:]}"
    return np.load(place), ended.said


def _work(place: Path, room: int | None) -> int:
    torch.manual_seed(0)
    translate = translator(FILTERS, 2, "fp32")
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (4, SIDE // 8, SIDE // 8, 3), dtype=np.uint8)
    pictures = [Picture(one.repeat(8, 0).repeat(8, 1)) for one in coarse]
    for tiles in ("off", "exact"):  # libraries take what they take once
        Tiler(translate, None, tiles).pictures([Picture(pictures[0].pixels[:32, :32])])
    if room is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + room
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    try:
        made = Tiler(translate, None).pictures(pictures)
    except (RuntimeError, MemoryError) as error:
        if not is_shortage(error):
            raise
        return 3
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    np.save(place, np.stack([picture.pixels for picture in made]))
    return 0
