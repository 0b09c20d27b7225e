"""Score runs of several methods on one task each, and set their pictures side by side.

python tools/method_results.py RUNS docs/results/methods.json docs/images

RUNS holds run folders; a run's task is its `data`. A run that was scored before is read from its
numbers.json. Writes every figure to the JSON file and a picture per task, and prints tables.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from strips import draw
from unpaired.data.catalog import worldtiles
from unpaired.evaluation.cached import CachedFeatures
from unpaired.evaluation.features import EfficientNetLite0
from unpaired.evaluation.instruments import Instruments
from unpaired.evaluation.judging import saved_numbers
from unpaired.evaluation.reporting.report import write_report
from unpaired.training.config import TrainConfig, read_yaml

TILES = 10
NAMES = {
    "cyclegan": "CycleGAN",
    "cyclegan cycle-alone": "cycle alone",
    "cyclegan gan-alone": "GAN alone",
    "cyclegan gan-forward-cycle": "GAN + forward cycle",
    "cyclegan gan-backward-cycle": "GAN + backward cycle",
    "cogan": "CoGAN",
    "simgan": "SimGAN",
    "feature_gan": "feature loss + GAN",
    "bigan": "BiGAN / ALI",
    "cut": "CUT",
    "fastcut": "FastCUT",
    "uvcgan": "UVCGANv2",
    "pix2pix": "pix2pix (pairs)",
}
"""Methods in the order of the tables, and what people call them."""


def method_of(config: TrainConfig[Any]) -> str:
    """The method's key in NAMES: its name, and its ablation if it is one."""
    loss = getattr(config.settings, "loss", None)
    if config.method != "cyclegan" or loss is None:
        return config.method
    forward, backward = (bool(weight) for weight in loss.cycles)
    kinds = {
        (True, True, True): "",
        (False, True, True): " cycle-alone",
        (True, False, False): " gan-alone",
        (True, True, False): " gan-forward-cycle",
        (True, False, True): " gan-backward-cycle",
    }
    return "cyclegan" + kinds[bool(loss.gan), forward, backward]


def score(run: Path, instruments: Instruments) -> dict[str, Any]:
    """The run's numbers, and its translations as files; taken once per checkpoint."""
    known = saved_numbers(run, instruments)
    return known or write_report(run, instruments)[1].numbers()


def tiles_of(run: Path, direction: str, names: list[str]) -> list[np.ndarray]:
    folder = run / "translations" / direction
    return [np.asarray(Image.open(folder / f"{name}.png")) for name in names]


def table(task: str, found: dict[str, dict[str, Any]]) -> None:
    """A markdown table of one translation task, the baselines first and the floor last."""
    first = next(iter(found.values()))
    print(f"\n| {task} | {first['metric']} | mean error, of 255 |\n|---|---|---|")

    def row(name: str, score: dict[str, Any]) -> None:
        cells = [
            f"{e['value']:.{places}f} ({e['low']:.{places}f} to {e['high']:.{places}f})"
            if (e := score.get(kind))
            else ""
            for kind, places in (("kid", 3), ("l1", 1))
        ]
        print(f"| {name} | {' | '.join(cells)} |")

    row("the input, untranslated", first["scores"]["input"])
    row("the best single colour transform", first["scores"]["colour"])
    for name in NAMES:
        if name in found:
            row(NAMES[name], found[name]["scores"]["run"])
    row("other real pictures", first["scores"]["real"])


def main(runs: Path, results: Path, images: Path) -> None:
    everything: dict[str, Any] = {}
    instruments = Instruments(CachedFeatures(EfficientNetLite0()))
    tasks: dict[tuple[str, str], dict[str, Any]] = {}  # (from, to) -> method -> numbers and run
    for run in sorted(p.parent for p in runs.glob("*/latest")):
        config = read_yaml(run / "config.yaml")
        done = (run / "latest").read_text().strip() == f"step_{config.steps or 0:08d}"
        if not done or not (config.data or "").startswith("worldtiles:"):
            continue
        numbers, method = score(run, instruments), method_of(config)
        everything[run.name] = {"method": method, **numbers}
        x, y = config.data.split(":")[1].split("-")
        for direction, side in numbers["directions"].items():
            task = (x, y) if direction == "x2y" else (y, x)
            shown = {
                **side,
                "metric": f"KID-{numbers['instruments']['features']}",
                "run": run,
                "direction": direction,
            }
            tasks.setdefault(task, {}).setdefault(method, shown)
        print(run.name, method, flush=True)
    for (source, target), found in tasks.items():
        table(f"{source} → {target}", found)
        tiles = worldtiles(f"{source}-{target}")
        places = [i * len(tiles.test_x) // TILES + 6 for i in range(TILES)]
        names = [tiles.names["test"][i] for i in places]
        rows = {"input": [tiles.test_x[i] for i in places]}
        for method in NAMES:
            if method in found:
                one = found[method]
                rows[NAMES[method]] = tiles_of(one["run"], one["direction"], names)
        rows["hidden truth"] = [tiles.test_y[i] for i in places]
        draw(rows, images / f"methods-{source}-{target}.jpg", gap=2, quality=92)
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
