"""Run folders as training leaves them, made by hand."""

import json
from pathlib import Path

import yaml
from PIL import Image

from unpaired.board.server import Board
from unpaired.web.listening import listening_socket


def write_run(folder: Path, lines: int = 4, grids: int = 2, **config: object) -> Path:
    """`lines` lines of 10 steps each at 2 steps a second, of a run of 100 steps."""
    (folder / "samples").mkdir(parents=True)
    tree = {"method": "cyclegan", "data": "<b>set</b>", "size": 64, "steps": 100, **config}
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    entries = [
        {"step": 10 * i, "epoch": 0.5 * i, "seconds": 5.0 * i, "lr": 2e-4}
        | {"images_per_second": 2.0, "gan_G": 1.0 / i, "cycle_x": 2.0 / i}
        for i in range(1, lines + 1)
    ]
    if lines:
        text = "".join(json.dumps(entry) + "\n" for entry in entries)
        (folder / "metrics.jsonl").write_text(text)
    for i in range(grids):
        grid = Image.new("RGB", (6 * 18, 18), (40 * i, 90, 120))
        grid.save(folder / "samples" / f"step_{10 * i:08d}.png")
    return folder


def note(folder: Path, name: str, *entries: object) -> None:
    """Append lines to one of the run's files; text as it is."""
    with (folder / name).open("a") as file:
        for entry in entries:
            file.write((entry if isinstance(entry, str) else json.dumps(entry)) + "\n")


def board(runs: dict[str, Path], every: float = 1.0) -> Board:
    return Board(listening_socket("127.0.0.1", 0), lambda: runs, every)
