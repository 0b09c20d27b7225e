"""`unpaired board`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from unpaired.errors import UserError
from unpaired.options import parse


@dataclass(frozen=True)
class BoardOptions:
    """Watch runs while they train, in a browser: TensorBoard, or with --report a page of ours.

    A folder of runs is searched. Nothing is written into a run. Ctrl-C ends it.
    """

    runs: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN")]
    """Run folders, or folders that hold some."""
    report: bool = False
    """A light page that renews itself: losses, pace, validation, faults, samples, time left."""
    host: str = "127.0.0.1"
    """Where it listens; 0.0.0.0 opens it to other machines, for everybody who can reach it."""
    port: int = 6006
    every: float = 10.0
    """Seconds between two looks of the page; TensorBoard has its own."""

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise UserError(f"--port is {self.port}; give one from 1 to 65535")
        if not 1 <= self.every <= 3600:
            raise UserError(f"--every is {self.every:g}; give seconds from 1 to 3600")


def run(arguments: list[str]) -> int:
    """`unpaired board RUN...`."""
    options = parse(BoardOptions, arguments, "unpaired board")
    if not options.runs:
        raise UserError("no run to watch; give the folder of one, or one that holds runs")
    from unpaired.board.runs import runs_in
    from unpaired.board.server import Board
    from unpaired.board.tensorboard import show
    from unpaired.web.listening import OWN, address_of, listening_socket

    places = [Path(place) for place in options.runs]
    runs: Mapping[str, Path] = runs_in(places)
    listening = listening_socket(options.host, options.port)
    what = f"{len(runs)} run{'' if len(runs) == 1 else 's'}"
    print(f"{what} at {address_of(options.host, options.port)}", flush=True)
    if options.host not in OWN:
        print("everybody who can reach this machine can see it", file=sys.stderr)
    if not options.report:
        listening.close()  # it was there to say at once that the port is taken
        show(runs, options.host, options.port)
        return 0

    def now() -> Mapping[str, Path]:
        """With runs that began meanwhile; those before, if a folder is gone."""
        try:
            return runs_in(places)
        except UserError:
            return runs

    with contextlib.closing(listening), Board(listening, now, options.every) as board:
        board.serve_forever()
    return 0
