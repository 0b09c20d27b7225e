"""TensorBoard, led to the folders of runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from importlib import util
from pathlib import Path

from unpaired.errors import UserError

SECONDS = 5.0  # that it may take to end


def arguments_for(runs: Mapping[str, Path]) -> list[str]:
    """TensorBoard's options for runs by name.

    Raises: UserError for a path that can't stand in its list.
    """
    folders = {name: folder / "tensorboard" for name, folder in runs.items()}
    if len(folders) == 1:
        return ["--logdir", str(next(iter(folders.values())))]
    for folder in folders.values():
        if "," in str(folder):
            raise UserError(
                f'TensorBoard can\'t list "{folder}" among others, for its comma; give this run '
                "alone, or --report"
            )
    pairs = (f"{name.replace(',', ' ').replace(':', ' ')}:{at}" for name, at in folders.items())
    return ["--logdir_spec", ",".join(pairs)]


def show(runs: Mapping[str, Path], host: str, port: int) -> None:
    """Run TensorBoard until it ends or is interrupted.

    Raises: UserError if it is missing or fails; KeyboardInterrupt, with it ended.
    """
    if util.find_spec("tensorboard") is None:
        raise UserError("the board needs `pip install tensorboard`; or give --report")
    command = [sys.executable, "-m", "tensorboard.main", *arguments_for(runs)]
    process = subprocess.Popen([*command, "--host", host, "--port", str(port)])
    try:
        code = process.wait()
    except BaseException:  # a signal; the terminal sends Ctrl-C to both
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    if code:
        raise UserError(f"TensorBoard ended with code {code}; what it said stands above")
