"""How good are the pictures after so many minutes of training?

    python -m benchmarks.time_to_picture --out FOLDER [--classes camvid --segmenter DIR] \\
        "the peer=runs/peer@0.415" "ours, 5 min=runs/ours@0.115#2610" "ours=runs/ours@0.115"

Each run is NAME=FOLDER@SECONDS: what a step takes on the idle machine (benchmarks/clock.py), so
that runs can be trained on a busy one; #STEP at the end takes that one checkpoint instead of all.
Kept checkpoints (`--checkpoint-every N --keep 60`) are judged on the test pictures as `unpaired
evaluate` judges a run: KID to the real pictures, and, if the data have label images and a
segmenter reads the photos, the FCN score. A learning rate that falls belongs to the length of a
run: a point in the middle is not what a run of that length would have reached. At a constant rate
it is.

Writes curves.json, curves.png and strip.png (test pictures at even steps: the input, every run's
last translation, the truth) to the folder, and prints a table. Points that curves.json already has
are not judged again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from unpaired.data.decode import Pixels
from unpaired.data.order import spread
from unpaired.data.showing import as_rgb
from unpaired.evaluation.distances import kid_estimate
from unpaired.evaluation.instruments import Instruments, instruments
from unpaired.evaluation.metrics import METRICS, Scores
from unpaired.evaluation.reporting.curves import COLOURS
from unpaired.evaluation.reporting.figures import mosaic
from unpaired.evaluation.scores import as_pictures_of
from unpaired.evaluation.segmenting.task import LabelTask, label_task
from unpaired.evaluation.sides import domains
from unpaired.evaluation.views import Views, open_views
from unpaired.methods.base import Direction
from unpaired.training.card import read_card
from unpaired.training.checkpoint import read_images
from unpaired.training.config import read_yaml
from unpaired.training.finding import find_checkpoint
from unpaired.training.shares import data_of
from unpaired.translation.translator import Translator

BATCH = 16
SHOWN = 6  # pictures of the strip
Point = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A run on disk and the time one of its steps takes."""

    name: str
    folder: Path
    seconds: float
    """Of a step on the idle machine."""
    step: int | None = None
    """The only checkpoint that counts; None: all of them."""

    @classmethod
    def parse(cls, text: str) -> Run:
        """From NAME=FOLDER@SECONDS[#STEP]. Raises: ValueError, which argparse explains."""
        name, _, rest = text.partition("=")
        folder, _, rest = rest.rpartition("@")
        seconds, _, step = rest.partition("#")
        return cls(name, Path(folder), float(seconds), int(step) if step else None)

    @property
    def last(self) -> Path:
        """The checkpoint whose pictures are shown."""
        return find_checkpoint(self.folder, "latest" if self.step is None else str(self.step))

    def checkpoints(self, every: int) -> list[Path]:
        """Every so-many-th kept checkpoint, counted from the last, oldest first."""
        if self.step is not None:
            return [self.last]
        kept = sorted((self.folder / "checkpoints").glob("step_*"))
        return kept[::-1][::every][::-1]


class Judge:
    """The test pictures of one data set in one direction, and what measures translations."""

    def __init__(self, run: Run, measures: Instruments, direction: Direction) -> None:
        """Args: run: whose data and settings of sight all runs are judged by."""
        config, card = read_yaml(run.folder / "config.yaml"), read_card(find_checkpoint(run.folder))
        images, channels = read_images(card), (card.channels_x, card.channels_y)
        data = data_of(config, *channels)
        self.measures, self.direction = measures, direction
        self.views: Views = open_views(data, images, card.size, measures.limit)
        self.labels: LabelTask | None = None
        if measures.classes is not None:
            self.labels = label_task(
                measures.classes,
                data,
                data_of(config, *channels, paired=True),
                self.views,
                images,
                card.size,
                measures.limit,
                measures.segmenter,
            )
        source, self.target = domains(direction)
        self.inputs, self.real = self.views.test[source], self.views.test[self.target]

    def translations(self, checkpoint: Path) -> Pixels:
        """(N, H, W, C): all test pictures as a checkpoint translates them."""
        translator = Translator.load(checkpoint)
        made: list[Pixels] = []
        for i in range(0, len(self.inputs), BATCH):
            made += translator(list(self.inputs[i : i + BATCH]), self.direction)
        return np.stack(made)

    def scores(self, pictures: Pixels, real: Pixels | None = None) -> Scores:
        """KID to the real test pictures (or to `real`), and the FCN score of pictures of them."""
        features = self.measures.features
        sets = (features(as_rgb(p)) for p in (pictures, self.real if real is None else real))
        found: Scores = {"kid": kid_estimate(*sets, self.measures.seed)}
        if self.labels is not None and real is None:
            found |= self.labels.scores(
                self.labels.read(pictures, self.direction), self.measures.seed
            )
        return found

    def rows(self) -> dict[str, dict[str, Any]]:
        """What gives the numbers meaning: inputs as they are; real pictures against real ones."""
        floor = self.scores(self.views.train[self.target], self.real)
        own = self.scores(self.real)  # the segmenter's ceiling; no KID to itself
        return {
            "the input, untranslated": plain(self.scores(as_pictures_of(self.inputs, self.real))),
            "real, against other real ones": plain({**own, **floor}),
        }


def plain(scores: Scores) -> dict[str, Any]:
    """For JSON: value, low, high, error by metric."""
    return {name: asdict(e) for name, e in scores.items() if e is not None}


def curves(runs: list[Run], judge: Judge, every: int, known: dict[str, Any]) -> dict[str, Any]:
    """Every run's points, oldest first, and the rows beside them.

    Args: every: judge each so-many-th checkpoint; known: an earlier result, or {}.
    """
    result: dict[str, Any] = {
        "instruments": judge.measures.names(),
        "direction": judge.direction,
        "pictures": len(judge.inputs),
        "rows": known.get("rows") or judge.rows(),
        "runs": {},
    }
    for run in runs:
        config = read_yaml(run.folder / "config.yaml")
        before = known.get("runs", {}).get(run.name, {}).get("points", [])
        judged = {point["step"]: point["scores"] for point in before}
        points: list[Point] = []
        for checkpoint in run.checkpoints(every):
            step = int(checkpoint.name.split("_")[-1])
            scores = judged.get(step) or plain(judge.scores(judge.translations(checkpoint)))
            points.append({"step": step, "minutes": step * run.seconds / 60, "scores": scores})
            print(f"{run.name}: {line(points[-1])}", flush=True)
        result["runs"][run.name] = {
            "seconds_per_step": run.seconds,
            "preset": config.preset,
            "seed": config.seed,
            "batch": config.batch,
            "points": points,
        }
    return result


def line(point: Point) -> str:
    """One point for people."""
    told = [f"{point['minutes']:5.1f} min", f"step {point['step']:5}"]
    for name, e in point["scores"].items():
        digits = METRICS[name].digits
        told.append(
            f"{name} {e['value']:.{digits}f} ({e['low']:.{digits}f} to {e['high']:.{digits}f})"
        )
    return "  ".join(told)


def table(result: dict[str, Any]) -> str:
    """The last point of every run and the rows beside them, in Markdown."""
    rows = {
        f"{name}: {run['points'][-1]['minutes']:.1f} min, {run['points'][-1]['step']:,} steps of "
        f"{run['batch']}": run["points"][-1]["scores"]
        for name, run in result["runs"].items()
    }
    rows |= {f"*{name}*": scores for name, scores in result["rows"].items()}
    metrics = list(next(iter(rows.values())))
    titles = [METRICS[m].title.format(features=result["instruments"]["features"]) for m in metrics]
    lines = [f"| | {' | '.join(titles)} |", "|---" * (1 + len(metrics)) + "|"]
    for name, scores in rows.items():
        cells = []
        for metric in metrics:
            e, digits = scores.get(metric), METRICS[metric].digits
            cells.append(
                f"{e['value']:.{digits}f} ({e['low']:.{digits}f}-{e['high']:.{digits}f})"
                if e
                else ""
            )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(result: dict[str, Any], path: Path) -> None:
    """KID against minutes, one line per run with its interval as a band."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained", dpi=110)
    axes = figure.subplots()
    for colour, (name, run) in zip(COLOURS, result["runs"].items()):
        minutes = [point["minutes"] for point in run["points"]]
        low, value, high = (
            [point["scores"]["kid"][key] for point in run["points"]]
            for key in ("low", "value", "high")
        )
        axes.fill_between(minutes, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(minutes, value, ".-", color=colour, label=name)
    for style, (name, scores) in zip((":", "--"), result["rows"].items()):
        axes.axhline(scores["kid"]["value"], color="grey", linestyle=style, label=name)
    axes.set(
        xlabel="minutes of training on the idle machine",
        ylabel=f"KID-{result['instruments']['features']}, lower is better",
    )
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)


def strip(runs: list[Run], judge: Judge, path: Path, scale: int = 1) -> None:
    """One row per test picture: the input, each run's last translation, the truth if it is known.

    The pictures are evenly spread over the test set, the first one included: nobody chose them.
    """
    columns = [as_rgb(as_pictures_of(judge.inputs, judge.real))]
    columns += [as_rgb(judge.translations(run.last)) for run in runs]
    if judge.views.paired:
        columns.append(as_rgb(judge.real))
    sheet = mosaic([[column[i] for column in columns] for i in spread(len(judge.inputs), SHOWN)])
    image = PIL.Image.fromarray(sheet)
    image.resize((image.width * scale, image.height * scale), PIL.Image.Resampling.NEAREST).save(
        path
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Run.parse, nargs="+", metavar="NAME=FOLDER@SECONDS[#STEP]")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--direction", choices=("x2y", "y2x"), default="x2y")
    parser.add_argument("--classes", help="camvid, cityscapes, ..., or a file")
    parser.add_argument("--segmenter", help="reads photos; `unpaired segmenter train` makes one")
    parser.add_argument("--every", type=int, default=1, help="judge each so-many-th checkpoint")
    parser.add_argument("--scale", type=int, default=1, help="enlarge the strip")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    measures = instruments(classes=options.classes, segmenter=options.segmenter)
    judge = Judge(options.runs[0], measures, options.direction)
    written = options.out / "curves.json"
    known = json.loads(written.read_text(encoding="utf-8")) if written.is_file() else {}
    if known.get("instruments") != json.loads(json.dumps(measures.names())):
        known = {}
    result = curves(options.runs, judge, options.every, known)
    written.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(result))
    plot(result, options.out / "curves.png")
    strip(options.runs, judge, options.out / "strip.png", options.scale)


if __name__ == "__main__":
    main()
