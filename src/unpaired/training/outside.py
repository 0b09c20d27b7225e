"""Telling services of a run from a thread of their own, so that training never waits for them."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unpaired import launch
from unpaired.errors import UserError
from unpaired.training.config import TrainConfig, to_dict
from unpaired.training.services import SERVICES, Service, flat
from unpaired.whole import write_whole

WAITING = 1000  # things to tell that may wait; more are left out
FAILURES = 3  # in a row, after which a service hears no more
SECONDS_TO_START = 120.0
SECONDS_TO_FINISH = 60.0
KEPT = "trackers.json"

Say = Callable[[str], None]


class Outside:
    """One service. Whatever fails there is said, and the training goes on."""

    def __init__(self, name: str, service: Service, say: Say) -> None:
        self.name, self.service, self.say = name, service, say
        self._told: queue.Queue[Callable[[], None] | None] = queue.Queue(WAITING)
        self._deaf = threading.Event()
        self._left_out = 0
        self._thread: threading.Thread | None = None

    def start(self, known: Mapping[str, str] | None) -> dict[str, str]:
        """Begin, or go on with a run there; what names it.

        Raises: UserError if that fails, or takes too long.
        """
        answer: queue.Queue[dict[str, str] | Exception] = queue.Queue(1)

        def work() -> None:
            found = _tried(lambda: self.service.start(known))
            answer.put(found)
            if not isinstance(found, Exception):
                self._listen()

        self._thread = threading.Thread(target=work, name=self.name, daemon=True)
        self._thread.start()
        try:
            found = answer.get(timeout=SECONDS_TO_START)
        except queue.Empty:
            found = TimeoutError(f"no answer for {SECONDS_TO_START:g} s")
        if isinstance(found, Exception):
            raise UserError(
                f"--tracker {self.name} can't begin: {_words(found)}; mend it, keep the run on "
                f"this disk ({OFFLINE[self.name]}), or drop it"
            )
        return found

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers by name."""
        self._tell(lambda: self.service.metrics(step, values))

    def picture(self, step: int, pixels: np.ndarray) -> None:
        """A sample grid, (H, W, 3) uint8."""
        self._tell(lambda: self.service.picture(step, pixels))

    def close(self) -> None:
        """Wait for what is still to be told, but not for ever."""
        if self._thread is None:
            return
        with contextlib.suppress(queue.Full):  # then it is stuck, and gets no more time
            self._told.put(None, timeout=1)
            self._thread.join(SECONDS_TO_FINISH)
        if self._thread.is_alive():
            self.say(
                f"warning: {self.name} has not taken everything within {SECONDS_TO_FINISH:g} s; "
                "the rest is lost there, and stands in metrics.jsonl"
            )
        if self._left_out:
            self.say(f"warning: {self.name} was too slow for {self._left_out} lines or pictures")

    def _tell(self, call: Callable[[], None]) -> None:
        if self._deaf.is_set():
            return
        try:
            self._told.put_nowait(call)
        except queue.Full:
            if not self._left_out:
                self.say(f"warning: {self.name} is too slow; some lines are left out there")
            self._left_out += 1

    def _listen(self) -> None:
        failed = 0
        while (call := self._told.get()) is not None and failed < FAILURES:
            error = _tried(call)
            failed = 0 if error is None else failed + 1
            if error is not None and failed in (1, FAILURES):
                after = "training goes on"
                if failed == FAILURES:
                    self._deaf.set()
                    after = f"{failed} times in a row, so it hears no more; {after}"
                self.say(f"warning: {self.name}: {_words(error)}; {after}")
        if (error := _tried(self.service.finish)) is not None:
            self.say(f"warning: {self.name}: {_words(error)}; what it has may not be complete")


OFFLINE = {"wandb": "WANDB_MODE=offline", "mlflow": "MLFLOW_TRACKING_URI=sqlite:///mlflow.db"}
"""What to set so that nothing is sent."""


def begin(config: TrainConfig[Any], run: Path, say: Say) -> list[Outside]:
    """Begin at every service that is asked for, or go on with the run that was begun there.

    What names it there is kept in the run folder. After a restart by the launcher nobody may be
    there to mend anything, so what fails then is only said.

    Raises: UserError if one can't begin.
    """
    known, begun = _known(run), list[Outside]()
    for name in config.tracker:
        service = SERVICES[name](config.project, run.resolve().name, flat(to_dict(config)))
        one = Outside(name, service, say)
        try:
            known[name] = one.start(known.get(name))
        except UserError as error:
            if not launch.restarts():
                for other in begun:
                    other.close()
                raise
            say(f"warning: {error}; training goes on without")
            continue
        begun.append(one)
    if begun:
        write_whole(run / KEPT, json.dumps(known, indent=1))
    return begun


def _known(run: Path) -> dict[str, dict[str, str]]:
    """What was kept, of what is sound."""
    try:
        tree = json.loads((run / KEPT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {
        name: {"id": one["id"]}
        for name, one in (tree.items() if isinstance(tree, dict) else ())
        if isinstance(one, dict) and isinstance(one.get("id"), str)
    }


def _tried(call: Callable[[], Any]) -> Any:
    """What the call gives, or the error that it raises: a service may raise anything."""
    try:
        return call()
    except Exception as error:
        return error


def _words(error: Exception) -> str:
    """The first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
