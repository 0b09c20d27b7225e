"""`python -m benchmarks.faults [FAULT...] --count N --seed S --json FILE`.

Goes on where FILE ends, if it is of the same seed. Prints each fault with its count and what came
of it; exit code 1 if anything came that should not have.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.damage import damaged_checkpoint
from benchmarks.faults.disks import (
    NotHereError,
    disk_full_while_training,
    disk_full_while_translating,
    disk_that_is_read_only,
)
from benchmarks.faults.kills import sigkill, sigkill_while_stepping, sigterm
from benchmarks.faults.memory import little_memory_to_translate
from benchmarks.faults.numbers import clock_set_back, nan
from benchmarks.faults.runs import Bench
from benchmarks.faults.writes import power_cut_after_each_write, sigkill_after_each_write
from unpaired.errors import UserError
from unpaired.whole import write_whole

FAULTS: dict[str, tuple[Callable[..., str], int, int]] = {
    "sigkill": (sigkill, 100, 1),
    "sigkill-while-stepping": (sigkill_while_stepping, 100, 1),
    "sigterm": (sigterm, 30, 1),
    "sigkill-after-each-write": (sigkill_after_each_write, 0, 12),
    "power-cut-after-each-write": (power_cut_after_each_write, 0, 12),
    "disk-full-training": (disk_full_while_training, 60, 2),
    "disk-full-translating": (disk_full_while_translating, 30, 1),
    "read-only": (disk_that_is_read_only, 4, 2),
    "clock": (clock_set_back, 10, 1),
    "nan": (nan, 30, 3),
    "damage": (damaged_checkpoint, 112, 2),
    "memory": (little_memory_to_translate, 40, 1),
}
"""By name: one trial, how many of them the long form has (0: as many as there are things to be
tried, told by the first trial), and the short one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("--count", type=int, help="trials of each fault")
    parser.add_argument("--short", action="store_true", help="a few of each, as the tests do")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="results; goes on where they end")
    given = parser.parse_args()
    if unknown := set(given.faults) - FAULTS.keys():
        parser.error(f"no fault {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    results: dict[str, Any] = {"seed": given.seed, "faults": {}}
    if given.json and given.json.exists():
        results = json.loads(given.json.read_text())
        if results["seed"] != given.seed:
            parser.error(f"{given.json} is of seed {results['seed']}")
    with tempfile.TemporaryDirectory(prefix="unpaired-faults-") as folder:
        bench = Bench(Path(folder))
        for name in given.faults or FAULTS:
            done = results["faults"].setdefault(name, {"trials": 0, "results": {}, "failures": []})
            count = FAULTS[name][2] if given.short else given.count
            campaign(bench, name, count, given.seed, done, lambda: _keep(given.json, results))
            told = ", ".join(f"{count} x {what}" for what, count in done["results"].items())
            print(f"{name}: {done['trials']} trials: {told or done.get('not here')}", flush=True)
            for failure in done["failures"]:
                print(f"  FAILED {failure}", flush=True)
    sys.exit(any(done["failures"] for done in results["faults"].values()))


def campaign(
    bench: Bench,
    name: str,
    count: int | None,
    seed: int,
    done: dict[str, Any],
    keep: Callable[[], None],
) -> None:
    """Do the trials that `done` lacks."""
    fault, usual, _ = FAULTS[name]
    numbered = "trial" in inspect.signature(fault).parameters
    seen = Counter(done["results"])
    while done["trials"] < (count or usual or bench.everything):
        trial = done["trials"]
        rng = np.random.default_rng([seed, zlib.crc32(name.encode()), trial])
        began = time.monotonic()
        try:
            seen[fault(bench, rng, trial) if numbered else fault(bench, rng)] += 1
        except NotHereError as error:
            done["not here"] = str(error)
            return
        except (AssertionError, UserError) as error:
            seen["FAILED"] += 1
            done["failures"].append(f"trial {trial}: {str(error)[:1000]}")
        done["trials"], done["results"] = trial + 1, dict(seen)
        done["seconds"] = round(done.get("seconds", 0) + time.monotonic() - began, 1)
        keep()


def _keep(path: Path | None, results: dict[str, Any]) -> None:
    if path is not None:
        write_whole(path, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
