"""What a run says of itself while it goes: metrics.jsonl, findings.jsonl, TensorBoard, sessions."""

from __future__ import annotations

import json
import platform
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unpaired.whole import write_whole

if TYPE_CHECKING:  # what only reads has no use for it
    import torch

    from unpaired.training.outside import Outside

BESIDE_LOSSES = frozenset({"step", "epoch", "seconds", "lr", "images_per_second", "skipped"})

LINE = 1 << 20
"""Bytes of a line that are read at once; ours have some hundred."""


class Tracker:
    """Appends to `metrics.jsonl`, to `findings.jsonl` and to TensorBoard events.

    On resume, lines after the checkpoint's step are dropped, so that every step stands there once.
    """

    def __init__(self, run: Path, step: int, outside: Sequence[Outside] = ()) -> None:
        """Args: outside: services that hear of it too; whoever began there ends it."""
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        self.outside = outside
        self.findings = run / "findings.jsonl"
        path = run / "metrics.jsonl"
        for lines in (path, self.findings):
            if lines.exists():
                _keep_until(lines, step)
        self.file = path.open("a", encoding="utf-8")
        _say_errors_of_the_board_once()
        self.board = SummaryWriter(str(run / "tensorboard"), purge_step=step if step else None)

    def write(self, step: int, values: dict[str, float]) -> None:
        """One line: {"step": step, **values}."""
        self.file.write(json.dumps({"step": step, **values}) + "\n")
        self.file.flush()
        for name, value in values.items():
            self.board.add_scalar(name, value, step)
        for service in self.outside:
            service.metrics(step, values)

    def note(self, step: int, finding: dict[str, Any]) -> None:
        """A line in findings.jsonl, which is there only if something was found."""
        with self.findings.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **finding}) + "\n")

    def picture(self, step: int, pixels: Any) -> None:
        """A sample grid, (H, W, 3) uint8, on the board."""
        self.board.add_image("samples", pixels, step, dataformats="HWC")
        for service in self.outside:
            service.picture(step, pixels)

    def close(self) -> None:
        self.file.close()
        self.board.close()


def _say_errors_of_the_board_once() -> None:
    """TensorBoard's thread keeps what the system refused for the next call, which raises it; the
    thread's own traceback would only be a second word about it."""
    before = threading.excepthook
    if getattr(before, "says_once", False):
        return

    def hook(failed: threading.ExceptHookArgs) -> None:
        of_board = type(failed.thread).__module__.startswith("tensorboard.")
        if not (of_board and isinstance(failed.exc_value, OSError)):
            before(failed)

    hook.says_once = True  # type: ignore[attr-defined]
    threading.excepthook = hook


def _keep_until(path: Path, step: int) -> None:
    kept = [line for line, entry in _entries(path) if entry["step"] <= step]
    write_whole(path, "".join(f"{line}\n" for line in kept))


def read_metrics(run: Path, most: int | None = None) -> list[dict[str, float]]:
    """The lines of a run's metrics.jsonl, oldest first; empty if there are none.

    Args: most: bytes that are read, the last ones.
    """
    return _read_lines(run / "metrics.jsonl", most)


def losses_of(line: dict[str, float]) -> dict[str, float]:
    """The losses in a line of metrics.jsonl; an evaluation's line has none."""
    if "validation_score" in line:
        return {}
    return {name: value for name, value in line.items() if name not in BESIDE_LOSSES}


def read_findings(run: Path, most: int | None = None) -> list[dict[str, Any]]:
    """What every evaluation found: "step" and a `Finding`'s fields, oldest first.

    Args: most: as for `read_metrics`.
    """
    return _read_lines(run / "findings.jsonl", most)


def summed_up(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each fault of `read_findings` once: with "first" and "last" step, "times", last evidence."""
    faults: dict[tuple[str, str], dict[str, Any]] = {}
    for line in findings:
        key = (line["name"], line["direction"])
        fault = faults.setdefault(key, {**line, "first": line["step"], "times": 0})
        fault |= {"last": line["step"], "times": fault["times"] + 1, "evidence": line["evidence"]}
    return list(faults.values())


def _read_lines(path: Path, most: int | None = None) -> list[dict[str, Any]]:
    return [entry for _, entry in _entries(path, most)] if path.is_file() else []


def _entries(path: Path, most: int | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every line that can be read, and what it says; a kill or power cut may have left others."""
    with path.open("rb") as file:
        if most is not None:
            file.seek(max(0, path.stat().st_size - most))
        while read := file.readline(LINE):
            line = read.decode("utf-8", errors="replace").strip()
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict) and isinstance(entry.get("step"), int):
                yield line, entry


def note_session(run: Path, facts: dict[str, Any]) -> None:
    """Append the facts of a session to environment.json, a list with one entry per session."""
    path = run / "environment.json"
    try:
        sessions = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        sessions = []
    if not isinstance(sessions, list):  # a single session's facts, as 0.1 wrote them at first
        sessions = [sessions]
    write_whole(path, json.dumps([*sessions, facts], indent=1))


def last_session(run: Path) -> dict[str, Any]:
    """What `note_session` wrote last; empty if there is nothing readable."""
    try:
        sessions = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    facts: dict[str, Any] = sessions[-1] if isinstance(sessions, list) and sessions else sessions
    return facts if isinstance(facts, dict) else {}


def environment(device: torch.device, dtype: torch.dtype | None) -> dict[str, Any]:
    """Versions, machine, device and precision, for environment.json."""
    import torch

    packages = ("unpaired", "torch", "accelerate", "safetensors", "numpy", "Pillow")
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "command": sys.argv,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "device": str(device),
        "precision": "fp32" if dtype is None else str(dtype).removeprefix("torch."),
        "versions": versions,
    }
