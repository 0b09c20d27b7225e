"""The processes that train one run together: what one does for all, what all must know alike."""

from __future__ import annotations

import contextlib
import os
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar, cast

import torch
import torch.distributed
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, broadcast_object_list, gather_object

from unpaired import launch
from unpaired.errors import SaidElsewhere, UserError

T = TypeVar("T")


class LostRankError(Exception):
    """Another process of the run died, did not answer in time, or could not be met at the start."""


@dataclass(frozen=True)
class Note:
    """What a process tells all others between two steps."""

    signal: int = 0
    """The number of a signal that it got; 0: none."""
    seconds: float = 0.0
    """Its clock."""
    failure: str | None = None
    """Why it can't take another step."""
    skipped: tuple[tuple[str, str], ...] = ()
    """Files it found unreadable since its last note: (name, reason)."""


class Ranks:
    """The processes of a run; without a launcher there is one, and nothing here costs anything.

    What the main process does alone may take as long as others wait for an answer: the timeout.

    Attributes: index, count: of this process, and of all; main: whether it speaks and writes.
    """

    def __init__(self, device: torch.device, timeout: float) -> None:
        """Meet the others.

        Args: device: its type is what counts, Accelerate chooses the number; timeout: in seconds.
        Raises: LostRankError if they can't be met.
        """
        handlers: dict[str, Any] = {"timeout": timedelta(seconds=timeout)}
        if device.type == "cuda":  # what hosts tell each other must not wait for a GPU
            handlers["backend"] = "cuda:nccl,cpu:gloo"
        try:
            self.accelerator = Accelerator(
                mixed_precision="no",
                cpu=device.type == "cpu",
                kwargs_handlers=[InitProcessGroupKwargs(**handlers)],
            )
        except RuntimeError as error:  # of torch.distributed: the store, gloo or NCCL
            if launch.processes() == 1:
                raise
            raise LostRankError(_unmet(error)) from None
        self.timeout = timeout
        self.index: int = self.accelerator.process_index
        self.count: int = self.accelerator.num_processes
        self.main = self.index == 0

    def first(self, work: Callable[[], T]) -> T:
        """Let the main process do `work`; all get its result, or its UserError."""
        if self.count == 1:
            return work()
        result: T | None = None
        error: str | None = None
        if self.main:
            try:
                result = work()
            except UserError as mistake:
                error = str(mistake)
        result, error = broadcast_object_list([result, error])
        self._raise(error)
        return cast(T, result)

    def all(self, work: Callable[[], T]) -> T:
        """Let every process do `work`; a UserError of one is an error of all."""
        if self.count == 1:
            return work()
        result, error = None, None
        try:
            result = work()
        except UserError as mistake:
            error = str(mistake)
        self._raise(next((e for e in gather_object([error]) if e), None))
        return cast(T, result)

    def agree(self, told: str, what: str) -> None:
        """See that all processes tell the same. Raises: UserError for all if one doesn't."""
        if self.count == 1:
            return
        heard = gather_object([told])
        other = next((i for i, one in enumerate(heard) if one != heard[0]), None)
        if other is not None:
            self._raise(
                f"process {other} sees other {what} than process 0: {heard[other]}, not "
                f"{heard[0]}; give all machines the same"
            )

    def meet(self, note: Note) -> list[Note]:
        """Everybody's notes, in the order of processes, once all have come."""
        return gather_object([note]) if self.count > 1 else [note]

    def _raise(self, error: str | None) -> None:
        if error is not None:
            raise UserError(error) if self.main else SaidElsewhere(error)

    @contextlib.contextmanager
    def losses_told(self, out: Path) -> Iterator[None]:
        """Within the context, the loss of another process is a LostRankError that says so."""
        try:
            yield
        except RuntimeError as error:
            if self.count == 1 or (what := _loss(error)) is None:
                raise
            if what == "silent":
                what = f"has not answered for {self.timeout:g} s (--timeout)"
            raise LostRankError(
                f"process {self.index} of {self.count}: another process of the run {what}; "
                f"continue with: unpaired train --out {quote(str(out))} --resume"
            ) from None


def _loss(error: RuntimeError) -> str | None:
    """What became of another process, if that is what `error` says."""
    text = str(error)
    if "Timed out waiting" in text or "timed out" in text.lower():
        return "silent"
    if "gloo" in text or isinstance(error, torch.distributed.DistError):
        return "is gone"
    return None


def _unmet(error: RuntimeError) -> str:
    """What to say where the processes could not meet, and what to do about it."""
    said = re.sub(r"\[\S+:\d+\] ", "", str(error).strip()).partition("\n")[0]  # source lines
    if launch.restarts() and launch.restart_may_fail():
        advice = (
            "set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1, give torchrun --standalone or "
            "--rdzv_backend c10d, and start it again: it goes on from the last checkpoint"
        )
    else:
        place = f"{os.environ.get('MASTER_ADDR', '')}:{os.environ.get('MASTER_PORT', '')}"
        advice = f"see that all are started alike and reach {place}, then start it again"
    return (
        f"process {os.environ.get('RANK', '0')} of {launch.processes()} could not meet the others "
        f"({textwrap.shorten(said, 160)}); {advice}"
    )
