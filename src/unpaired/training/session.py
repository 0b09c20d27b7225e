"""What one session of a run is made of: pictures, trainer, clocks, and what it says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from unpaired.data.domains import DataSet
from unpaired.errors import UserError
from unpaired.methods import METHODS, Method
from unpaired.training.config import TrainConfig
from unpaired.training.evaluator import Evaluator
from unpaired.training.folder import folder_errors, note_skipped
from unpaired.training.journal import Journal
from unpaired.training.misfit import refuse_misfit
from unpaired.training.pace import Pace
from unpaired.training.progress import Reporter
from unpaired.training.randomness import seed_everything
from unpaired.training.ranks import Ranks
from unpaired.training.shares import Shares
from unpaired.training.trainer import Trainer
from unpaired.training.validation import Judge
from unpaired.training.watch import Watch

T = TypeVar("T")


class Session:
    """The parts of a run in this process, from its start or resumption to its end.

    Attributes:
        whole_batch: pictures of each domain in a batch of all processes.
        evaluator: None: nothing is held out to be judged.
        prepared: what the method loaded, for people; empty: nothing.
        unreadable: files that were told of: (name, reason).
        opened: what is closed at the end, the last first.
    """

    def __init__(
        self,
        config: TrainConfig[Any],
        out: Path,
        dataset: DataSet,
        ranks: Ranks,
        judge: Judge | None,
        reporter: Reporter,
    ) -> None:
        """Make all of it; nothing is written.

        Raises: UserError if method and pictures don't fit.
        """
        self.config, self.out, self.ranks = config, out, ranks
        self.dataset, self.reporter = dataset, reporter
        self.whole_batch = config.batch * ranks.count
        self.unreadable: set[tuple[str, str]] = set()
        paired = METHODS[config.method].paired
        self.shares = ranks.all(
            lambda: Shares(dataset, config, ranks.accelerator, self.skip, paired=paired)
        )
        seed_everything(config.seed)  # alike in all processes
        method = ranks.all(self._method)
        self.trainer = Trainer(method, config, ranks.accelerator)
        self.evaluator = None
        if judge and self.shares.held:
            self.evaluator = Evaluator(judge, self.shares.held, self.trainer)
        self.pace, self.watch = Pace(config.length, self.shares.train.steps_per_epoch), Watch()
        self.journal = Journal(reporter, None, self.pace)
        self.opened = contextlib.ExitStack()

    def _method(self) -> Method:
        """The method, from the global generators. Raises: UserError if it doesn't fit the data."""
        channels = (self.dataset.train_x.channels, self.dataset.train_y.channels)
        size = self.config.size
        method = METHODS[self.config.method](
            self.config.settings, channels_x=channels[0], channels_y=channels[1], size=size
        )
        if size % method.multiple:
            raise UserError(
                f"--size is {size}, but this network needs a multiple of {method.multiple}"
            )
        self.prepared = method.prepare()
        if self.prepared:
            self.reporter.say(self.prepared)
        refuse_misfit(method, channels, self.config.batch, size)
        return method

    def main_does(self, work: Callable[[], T]) -> T:
        """Let the main process write; if it can't, that is an error of all."""

        def with_errors_told() -> T:
            with folder_errors(self.out):
                return work()

        return self.ranks.first(with_errors_told)

    def skip(self, name: str, reason: str) -> None:
        """Tell of a file once, whichever processes found it unreadable."""
        if (name, reason) in self.unreadable:
            return
        self.unreadable.add((name, reason))
        self.reporter.say(f"warning: skipping {name}: {reason}")
        if self.ranks.main:
            note_skipped(self.out, name, reason)
