"""What a run folder says of its run: how far, how fast, how well, and whether it still goes."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from unpaired.board.locks import is_held
from unpaired.errors import UserError
from unpaired.plain_yaml import NotPlainError, read_plain
from unpaired.training.card import read_card
from unpaired.training.finding import checkpoints_of, read_progress
from unpaired.training.tracking import read_findings, read_metrics

LINES = 400  # that curves are drawn of
RECENT = 20  # lines that say how fast it goes
LARGEST = 1e100  # and what lies beyond can't be drawn
STEPS = 1e18
NAME = 80  # characters of a metric's name, and NAMES of them in a line
NAMES = 64
KINDS = 32  # of findings, by name and direction; there are not as many
METRICS = 1 << 24  # bytes of a log that are read, the last ones: some ten thousand lines
CONFIG = 1 << 20  # bytes of config.yaml; ours have some thousand
SILENT = 300.0  # seconds without a line after which a run that can't be seen counts as gone
SAMPLE = re.compile(r"step_[0-9]{1,20}\.png")
FINDING = frozenset({"name", "severity", "evidence", "advice", "direction"})

WAYS = ("x2y", "y2x")

Kind = Literal["starting", "training", "finished", "imported", "gone", "silent"]
Lines = list[dict[str, float]]


@dataclass(frozen=True)
class State:
    """A run at one moment. What its folder does not say is None or empty."""

    folder: Path
    kind: Kind
    """"imported": weights from elsewhere, which are never trained; "gone": not at its end, and no
    process of this machine is training it; "silent": that can't be known here, but nothing came for
    a while."""
    config: dict[str, Any]
    step: int
    progress: float | None
    """0 to 1."""
    left: float | None
    """Seconds until the end, at the pace of the last lines."""
    seconds: float | None
    """Of training so far."""
    rate: float | None
    """Pictures of each domain per second."""
    age: float | None
    """Seconds since the last line of metrics, or since the folder was made."""
    why: str | None
    """Why it ended before its length."""
    best: tuple[int, float] | None
    """Step and validation score of the best evaluation."""
    last: tuple[int, float] | None
    """Likewise of the last."""
    lines: Lines
    """Of metrics.jsonl, thinned."""
    findings: list[dict[str, Any]]
    samples: list[str]
    """Names of the sample grids, oldest first."""


def state_of(folder: Path, now: float | None = None) -> State:
    """Look at a run folder; nothing in it can make this fail.

    Args: now: the time, as `time.time()`.
    """
    lines = [line for line in map(_sound, read_metrics(folder, METRICS)) if line]
    config = _config(folder)
    step, epoch, seconds = _where(folder, lines)
    progress = _progress(config, step, epoch, seconds)
    scores = [(int(e["step"]), e["validation_score"]) for e in lines if "validation_score" in e]
    why = _stopped_early(config, scores)
    age = _age(folder, time.time() if now is None else now)
    over = why is not None or (progress is not None and progress >= 1)
    kind = _kind(is_held(folder), over, bool(lines), age)
    if config.get("method") == "imported":
        kind, progress = "imported", None
    paced = [line for line in lines if "images_per_second" in line]
    return State(
        folder=folder,
        kind=kind,
        config=config,
        step=step,
        progress=None if progress is None else min(1.0, progress),
        left=_left(config, paced) if kind == "training" else None,
        seconds=seconds,
        rate=paced[-1]["images_per_second"] if paced else None,
        age=age,
        why=why if kind == "finished" else None,
        best=min(scores, key=lambda one: one[1], default=None),
        last=scores[-1] if scores else None,
        lines=_thinned(lines),
        findings=_findings(folder),
        samples=samples_of(folder),
    )


def samples_of(folder: Path) -> list[str]:
    """Names of the run's sample grids, oldest first; nothing else in the folder is one."""
    there = (folder / "samples").glob("step_*.png")
    return sorted(path.name for path in there if SAMPLE.fullmatch(path.name))


def _sound(line: dict[str, Any]) -> dict[str, float]:
    """The numbers of a line that can be drawn; a damaged one may hold anything else too."""
    if not _is_number(line["step"]) or not 0 <= line["step"] < STEPS:
        return {}
    sound = {name: value for name, value in line.items() if _is_number(value)}
    names = [name for name in sound if len(name) <= NAME][:NAMES]
    return {"step": line["step"], **{_printable(name): sound[name] for name in names}}


def _is_number(value: Any) -> bool:
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return known and -LARGEST < value < LARGEST  # so no nan


def _is_finding(line: dict[str, Any]) -> bool:
    if not set(line) >= FINDING or not _is_number(line["step"]):
        return False
    known = all(isinstance(line[name], str) for name in FINDING)
    return known and line["severity"] in ("notice", "warning") and line["direction"] in WAYS


def _findings(folder: Path) -> list[dict[str, Any]]:
    found = [_clean(line) for line in read_findings(folder, METRICS) if _is_finding(line)]
    kinds = list(dict.fromkeys((one["name"], one["direction"]) for one in found))[:KINDS]
    return [one for one in found if (one["name"], one["direction"]) in kinds]


def _clean(finding: dict[str, Any]) -> dict[str, Any]:
    return finding | {"name": _printable(finding["name"])[:NAME]}


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.yaml"
    try:
        if not path.is_file() or path.stat().st_size > CONFIG:  # a pipe would never end
            return {}
        tree = read_plain(path.read_text(encoding="utf-8"))
    except (OSError, NotPlainError, UnicodeDecodeError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _where(folder: Path, lines: Lines) -> tuple[int, float, float | None]:
    """(step, epoch, seconds) of the last line or the last checkpoint, whichever is further."""
    step = int(max((line["step"] for line in lines), default=0))
    epoch = max((line.get("epoch", 0.0) for line in lines), default=0.0)
    seconds = max((line.get("seconds", 0.0) for line in lines), default=None)
    for checkpoint in reversed(checkpoints_of(folder)):
        try:
            card = read_card(checkpoint)
        except UserError:
            continue
        so_far: Any = read_progress(checkpoint).get("seconds")
        if _is_number(so_far):
            seconds = max(seconds or 0.0, float(so_far))
        further = [value for value in (card.step, card.epoch) if _is_number(value)]
        if len(further) < 2:
            continue
        return max(step, card.step), max(epoch, card.epoch), seconds
    return step, epoch, seconds


def _progress(
    config: dict[str, Any], step: float, epoch: float, seconds: float | None
) -> float | None:
    """Share of the run's length; None if that is not known."""
    if not config:
        return None
    done = {"steps": step, "epochs": epoch, "minutes": (seconds or 0.0) / 60}
    for unit, so_far in done.items():
        amount: Any = config.get(unit)
        if _is_number(amount) and amount > 0:
            return min(1.0, so_far / float(amount))
    return epoch / 200  # the default, which the paper has


def _left(config: dict[str, Any], paced: Lines) -> float | None:
    """Seconds until the end, at the pace of the last lines."""
    recent = [
        (share, line["seconds"])
        for line in paced[-RECENT:]
        if "seconds" in line
        and (share := _progress(config, line["step"], line.get("epoch", 0.0), line["seconds"]))
        is not None
    ]
    if not recent:
        return None
    (p1, s1) = recent[-1]
    (p0, s0) = recent[0] if len(recent) > 1 else (0.0, 0.0)  # a run begins at nothing
    return max(0.0, (1 - p1) * (s1 - s0) / (p1 - p0)) if p1 > p0 and s1 > s0 else None


def _stopped_early(config: dict[str, Any], scores: list[tuple[int, float]]) -> str | None:
    """Whether `--stop-after` has ended it: so many evaluations in a row without a better score."""
    after = config.get("stop_after")
    if not isinstance(after, int) or after < 1 or not scores:
        return None
    values = [value for _, value in scores]
    waited = len(values) - 1 - values.index(min(values))
    return f"{waited} evaluations in a row brought no better score" if waited >= after else None


def _age(folder: Path, now: float) -> float | None:
    for path in (folder / "metrics.jsonl", folder / "config.yaml"):
        try:
            return max(0.0, now - path.stat().st_mtime)
        except OSError:
            continue
    return None


def _kind(held: bool | None, over: bool, begun: bool, age: float | None) -> Kind:
    if held:
        return "training" if begun else "starting"
    if over:
        return "finished"
    if held is None and age is not None and age < SILENT:
        return "training" if begun else "starting"
    return "silent" if held is None else "gone"


def _thinned(lines: Lines) -> Lines:
    """At most some hundred lines, evaluations all, and always the last."""
    step = max(1, -(-len(lines) // LINES))
    return [
        line
        for place, line in enumerate(lines)
        if place % step == 0 or place == len(lines) - 1 or "validation_score" in line
    ]
