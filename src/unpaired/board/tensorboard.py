"""TensorBoard, led to the folders of runs."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib import util
from pathlib import Path, PurePath
from shlex import quote

from unpaired.errors import UserError, reason_of

SECONDS = 5.0  # that it may take to end


@contextlib.contextmanager
def links_to(runs: Mapping[str, Path]) -> Iterator[Path]:
    """A passing folder in which every run's events have the run's name.

    TensorBoard itself prefers a tree of links to its `--logdir_spec`, which can't have commas in
    paths, and shows names as "name/.".

    Raises: UserError where links can't be made (Windows, without the right to).
    """
    with tempfile.TemporaryDirectory(prefix="unpaired-board-") as folder:
        for name, run in runs.items():
            link = Path(folder, *PurePath(name).parts)
            try:
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(run.resolve() / "tensorboard", target_is_directory=True)
            except OSError as error:
                raise UserError(
                    f'cannot link "{run}" for TensorBoard: {reason_of(error)}; give --report, or '
                    f"call: tensorboard --logdir {quote(str(run / 'tensorboard'))}"
                ) from None
        yield Path(folder)


def show(runs: Mapping[str, Path], host: str, port: int) -> None:
    """Run TensorBoard until it ends or is interrupted.

    Raises: UserError if it is missing or fails; KeyboardInterrupt, with it ended.
    """
    if util.find_spec("tensorboard") is None:
        raise UserError("the board needs `pip install tensorboard`; or give --report")
    with links_to(runs) as folder:
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)]
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
