"""A run from its folder's first file to its last: open the data, train, checkpoint, resume."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from unpaired import launch
from unpaired.data.domains import DataSet
from unpaired.data.order import spread
from unpaired.errors import SaidElsewhere, UserError
from unpaired.methods import METHODS, Method
from unpaired.methods.base import Batch
from unpaired.training.checkpoint import State, point, prune, read_last_state, save_checkpoint
from unpaired.training.config import (
    TrainConfig,
    read_yaml,
    refuse_changes,
    write_yaml,
)
from unpaired.training.describe import describe
from unpaired.training.evaluator import Evaluator
from unpaired.training.finding import checkpoints_of, find_checkpoint, pointed_at
from unpaired.training.folder import (
    folder_errors,
    lock,
    may_continue,
    note_skipped,
    refuse_links,
)
from unpaired.training.interruption import Interrupted, Signals
from unpaired.training.journal import Journal
from unpaired.training.misfit import refuse_misfit
from unpaired.training.pace import Pace
from unpaired.training.precision import choose_device
from unpaired.training.progress import Reporter
from unpaired.training.randomness import seed_everything, unmoved
from unpaired.training.ranks import Note, Ranks
from unpaired.training.samples import grid, sample_columns, write_grid
from unpaired.training.shares import Shares, data_of
from unpaired.training.tracking import (
    Tracker,
    environment,
    losses_of,
    note_session,
    read_findings,
    read_metrics,
)
from unpaired.training.trainer import Trainer
from unpaired.training.validation import Judge
from unpaired.training.watch import Watch

SAMPLES = 6  # rows of the sample grid
SECONDS_BETWEEN_PICTURES = 60.0  # when epochs are short
SECONDS_OF_A_LOST_PROCESS = 60.0  # that its helpers may still hold the folder after a restart

T = TypeVar("T")


class DivergedError(Exception):
    """Too many steps in a row were not finite; the last good checkpoint is intact."""


def train(
    config: TrainConfig[Any],
    out: Path,
    *,
    resume: bool = False,
    judge: Judge | None = None,
    quiet: bool = False,
) -> Path:
    """Train until the configured length is reached.

    Args:
        out: the run folder; must be new or empty, unless `resume`.
        resume: continue from `out`'s latest checkpoint if it has one, bit for bit; a launcher that
            may restart the run implies it.
        judge: what scores the run on its validation share, for `config.evaluate_every`;
            `unpaired.train` gives `evaluation.validation.KIDJudge`.
    Returns: the run folder.
    Raises:
        UserError: whatever a user can mend, before anything is written where possible.
        Interrupted: after SIGTERM or SIGINT, with everything saved.
        DivergedError: after `config.patience` steps in a row that were not finite.
        LostRankError: if another process of the run died or hangs.
    """
    out = Path(out)
    if config.evaluate_every and judge is None:
        raise UserError("--evaluate-every needs a judge; call unpaired.train, or drop it")
    device = choose_device(config.device)
    if device.index is not None:
        if launch.processes() > 1:
            raise UserError(
                f"--device is {config.device}, but each process takes a device of its own; "
                f"give {device.type}, or drop it"
            )
        if device.type == "cuda":
            torch.cuda.set_device(device)
    ranks = Ranks(device, config.timeout)
    with ranks.losses_told(out), folder_errors(out):
        resume = resume or launch.may_restart()
        before = ranks.first(lambda: _config_before(config, out, resume))
        dataset = ranks.all(lambda: data_of(config, config.channels_x, config.channels_y))
        run = _Run(config, out, dataset, ranks, judge, Reporter(quiet or not ranks.main))
        try:
            run.open(before)
            run.loop()
        finally:
            run.close()
    return out


def _config_before(config: TrainConfig[Any], out: Path, resume: bool) -> TrainConfig[Any] | None:
    """The configuration of the run in `out` that is to be continued; None: it starts anew.

    Raises: UserError if it can't be continued with `config`, or `out` is something else.
    """
    if not may_continue(out, resume):
        return None
    before = read_yaml(out / "config.yaml")
    refuse_changes(replace(before, batch=config.batch), config)  # `_restore` sees to the batch
    return before


class _Run:
    """The loop around a trainer, and everything it writes."""

    def __init__(
        self,
        config: TrainConfig[Any],
        out: Path,
        dataset: DataSet,
        ranks: Ranks,
        judge: Judge | None,
        reporter: Reporter,
    ) -> None:
        self.config, self.out, self.ranks = config, out, ranks
        self.dataset, self.reporter = dataset, reporter
        self.whole_batch = config.batch * ranks.count
        self.unreadable: set[tuple[str, str]] = set()
        paired = METHODS[config.method].paired
        self.shares = ranks.all(
            lambda: Shares(dataset, config, ranks.accelerator, self._on_skip, paired=paired)
        )
        seed_everything(config.seed)  # alike in all processes
        method = ranks.all(self._method)
        self.trainer = Trainer(method, config, ranks.accelerator)
        self.evaluator = None
        if judge and self.shares.held:
            self.evaluator = Evaluator(judge, self.shares.held, self.trainer)
        self.pace, self.watch = Pace(config.length, self.shares.train.steps_per_epoch), Watch()
        self.journal = Journal(reporter, None, self.pace)
        # reading the guard waits for the device; on a CPU there is nothing to wait for
        self.look_every = 1 if self.trainer.device.type == "cpu" else config.patience
        self.skipped = 0  # as last read
        self.pictured = self.saved = -1  # step of the last grid and checkpoint
        self.pictured_at = self.saved_at = -SECONDS_BETWEEN_PICTURES
        self.opened = contextlib.ExitStack()  # what `close` closes

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

    def _main_does(self, work: Callable[[], T]) -> T:
        """Let the main process write; if it can't, that is an error of all."""

        def with_errors_told() -> T:
            with folder_errors(self.out):
                return work()

        return self.ranks.first(with_errors_told)

    # -- the folder ------------------------------------------------------------------------------

    def open(self, before: TrainConfig[Any] | None) -> None:
        """Make the folder, or take up its latest checkpoint.

        Args: before: the configuration that the run had; None: it starts anew.
        """
        state = self._main_does(partial(self._take_folder, before is not None))
        if state is not None and before is not None:
            self.ranks.all(partial(self._restore, state, before))
        self._main_does(self._open_logs)

    def _take_folder(self, continuing: bool) -> State | None:
        """Make the folder, or hold it and read the latest checkpoint."""
        self.out.mkdir(parents=True, exist_ok=True)
        refuse_links(self.out)
        patience = 0.0
        if restarts := launch.restarts():
            patience = SECONDS_OF_A_LOST_PROCESS
            self.reporter.say(f"restarted by the launcher ({restarts}), a process was lost")
        if launch.restart_may_fail():
            self.reporter.say(
                "warning: PyTorch may fail to restart lost processes; set "
                "TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 and give torchrun --standalone or "
                "--rdzv_backend c10d"
            )
        if (held := lock(self.out, patience)) is not None:
            self.opened.callback(os.close, held)
        if not continuing:
            return None
        folder, _, state = read_last_state(self.out, self.reporter.say)
        if pointed_at(self.out, "latest") != folder.name:
            point(self.out, "latest", folder.name)
        return state

    def _restore(self, state: State, before: TrainConfig[Any]) -> None:
        self.trainer.restore(state)
        try:
            so_far = state.values["run"]
            self.pace.seconds, prepared = so_far["seconds"], so_far["prepared"]
            if "best" not in so_far:  # as it stood there before there was a watch
                self.watch.restore(so_far["watch"])
            if {"whole_batch", "place"}.isdisjoint(so_far):  # before there were more processes
                whole_batch = before.batch
                self.pace.batches = self.trainer.steps * self.config.accumulate
            else:
                whole_batch = so_far["whole_batch"]
                self.pace.batches = self.shares.train.step_at(*so_far["place"])
        except (KeyError, TypeError) as error:
            raise UserError(f"the checkpoint lacks {error}; it can't continue the run") from None
        if prepared != self.prepared:
            raise UserError(
                f"the run was trained with {prepared}, but here is {self.prepared}; install "
                "what it had, or start a new run with another --out"
            )
        self.reporter.say(f"continuing {self.out} from step {self.trainer.steps}")
        if whole_batch != self.whole_batch:
            if before.batch != self.config.batch:
                raise UserError(
                    "--batch differs from the run that --resume would continue, and "
                    f"{self.ranks.count} x {self.config.batch} is not {whole_batch} pictures a "
                    "step; drop it, or start a new run with another --out"
                )
            self.reporter.say(
                f"warning: a step now takes {self.whole_batch} pictures of each domain; it took "
                f"{whole_batch}, with another number of processes"
            )
        self.saved = self.pictured = self.trainer.steps
        self.skipped = self.trainer.guard.read().skipped

    def _open_logs(self) -> None:
        write_yaml(self.config, self.out / "config.yaml")
        facts = environment(self.trainer.device, self.trainer.dtype)
        facts |= {"step": self.trainer.steps, "loaded": self.prepared}
        note_session(self.out, {**facts, "processes": self.ranks.count})
        for name, reason in self.dataset.skipped:
            self._on_skip(name, reason)
        self.tracker = Tracker(self.out, self.trainer.steps)
        self.opened.callback(self.tracker.close)
        self.journal.tracker = self.tracker
        self.watch.recall(read_findings(self.out))
        for line in read_metrics(self.out):
            if line["step"] > (self.watch.last_step or 0):
                self.journal.remember(losses_of(line))
        best = f"step_{self.watch.best_step or 0:08d}"
        if best in {folder.name for folder in checkpoints_of(self.out)}:
            point(self.out, "best", best)  # a kill may have come before the pointer

    def _on_skip(self, name: str, reason: str) -> None:
        """Tell of a file once, whichever processes found it unreadable."""
        if (name, reason) in self.unreadable:
            return
        self.unreadable.add((name, reason))
        self.reporter.say(f"warning: skipping {name}: {reason}")
        if self.ranks.main:
            note_skipped(self.out, name, reason)

    def close(self) -> None:
        """Close the logs and let go of the folder."""
        self.opened.close()

    def checkpoint(self) -> None:
        """Save the complete state; the main process writes, the others wait for it."""
        self.look()
        if self.saved == self.trainer.steps:
            return
        state = self.trainer.state()
        self._main_does(partial(self._write_checkpoint, state))
        self.saved, self.saved_at = self.trainer.steps, self.pace.now

    def _write_checkpoint(self, state: State) -> None:
        steps, watch = self.trainer.steps, self.watch
        state.values["run"] = {
            "seconds": self.pace.elapsed,
            "prepared": self.prepared,
            "watch": watch.state(),
            "whole_batch": self.whole_batch,
            "place": self.shares.train.place(self.pace.batches),
        }
        score = watch.last if watch.last_step == steps else None
        card = describe(self.trainer, self.dataset, self.pace.epoch, score)
        folder = save_checkpoint(self.out, card, state)
        if watch.best_step == steps:
            point(self.out, "best", folder.name)
        prune(self.out, self.config.keep)

    # -- the loop --------------------------------------------------------------------------------

    def loop(self) -> None:
        """Step until the end; sample, log, evaluate and checkpoint on the way."""
        with Signals(launched=self.ranks.count > 1) as signals, self.reporter:
            self.pace.start(self.trainer.steps)
            micro = self.shares.train.from_step(self.pace.batches)
            self.opened.enter_context(contextlib.closing(micro))
            if self.trainer.steps == 0:
                self.sample()
            self.watch.decide(self.config.stop_after)
            while True:
                batches, failure = self._next(micro)
                signal, failure = self._meet(signals.received, failure)
                progress = self.pace.progress(self.trainer.steps)
                if progress >= 1 or self.watch.stopped:
                    break
                if signal or failure:  # what was learned is not lost
                    self.checkpoint()
                    raise self._leave(signal, failure)
                step = self.trainer.step([self.trainer.on_device(b) for b in batches], progress)
                self.journal.add(step.losses, step.finite)
                now = self.trainer.steps
                if now % self.look_every == 0 or now % self.config.log_every == 0:
                    self.look()
                self.pace.batches += self.config.accumulate
                self.pace.tick(now * self.whole_batch * self.config.accumulate)
                if now % self.config.log_every == 0:
                    self._main_does(partial(self.journal.log, now, step.lr, self.skipped))
                if self.ranks.main and self.reporter.due():
                    self.journal.show(now, step.losses)
                if self.config.evaluate_every and now % self.config.evaluate_every == 0:
                    self.evaluate()
                    self.watch.decide(self.config.stop_after)
                if self._due(self.config.sample_every, self.pictured_at):
                    self.sample()
                if self._due(self.config.checkpoint_every, self.saved_at):
                    self.checkpoint()
            self.look()
            if progress >= 1:
                self.watch.stopped = None  # it ended by its length
            if self.watch.last_step != self.trainer.steps:
                self.evaluate()
            self.checkpoint()
            self.sample()
            if self.ranks.main:
                self.journal.show(self.trainer.steps, {})
        self.journal.end(self.trainer.steps, self.skipped, self.watch)

    def _next(self, micro: Iterator[Batch]) -> tuple[list[Batch], str | None]:
        """The batches of a step, or why there are none."""
        try:
            return [next(micro) for _ in range(self.config.accumulate)], None
        except UserError as error:
            return [], str(error)

    def _meet(self, signal: int, failure: str | None) -> tuple[int, str | None]:
        """Hear of all processes: (a signal that one got, why one can't go on)."""
        skipped = () if self.ranks.main else tuple(self.unreadable)
        notes = self.ranks.meet(Note(signal, self.pace.elapsed, failure, skipped))
        self.pace.now = notes[0].seconds
        if self.ranks.main:
            for note in notes[1:]:
                for name, reason in note.skipped:
                    self._on_skip(name, reason)
        failures = [note.failure for note in notes if note.failure]
        return max(note.signal for note in notes), failures[0] if failures else None

    def _leave(self, signal: int, failure: str | None) -> Exception:
        """What ends the run before its end."""
        if signal:
            return Interrupted(signal, self.out, self.trainer.steps)
        return UserError(failure) if self.ranks.main else SaidElsewhere(failure)

    def _due(self, every: int | None, last: float) -> bool:
        """By count if `every` is given; else at an epoch's end, if the last was a while ago."""
        if every:
            return self.trainer.steps % every == 0
        return (
            self.pace.batches % self.pace.epoch_batches < self.config.accumulate
            and self.pace.now - last >= SECONDS_BETWEEN_PICTURES
        )

    def look(self) -> None:
        """Wait for the device; tell of steps that were not finite, and stop after too many."""
        faults = self.trainer.guard.read()
        if faults.skipped == self.skipped:
            return
        self.skipped, bad = faults.skipped, ", ".join(faults.names)
        self.reporter.say(
            f"warning: step {faults.step}: {bad} not finite; no player stepped "
            f"({faults.in_a_row} in a row, {faults.skipped} in all)"
        )
        if faults.in_a_row >= self.config.patience:
            raise DivergedError(
                f"{bad} not finite for {faults.in_a_row} steps in a row up to "
                f"step {faults.step}; the last good checkpoint is "
                f"{find_checkpoint(self.out) if self.saved >= 0 else 'none'}; try a smaller "
                "--optimizer.lr, --clip 1, or --precision fp32"
            )

    def sample(self) -> None:
        """Write the grid of fixed images with the weights that will be used."""
        if self.pictured == self.trainer.steps:
            return
        with unmoved(), self.trainer.translating() as method:
            self._main_does(partial(self._write_sample, method))
        self.pictured, self.pictured_at = self.trainer.steps, self.pace.now

    def _write_sample(self, method: Method) -> None:
        shown, device = self.shares.shown, self.trainer.device
        x = shown.fixed("x", spread(len(shown.x), SAMPLES)).to(device)
        y = shown.fixed("y", spread(len(shown.y), SAMPLES)).to(device)
        columns = sample_columns(method, x, y)
        write_grid(columns, self.out / "samples" / f"step_{self.trainer.steps:08d}.png")
        self.tracker.picture(self.trainer.steps, grid(columns))

    def evaluate(self) -> None:
        """Judge the weights that will be used on the held-out share, if any; keep the best."""
        if self.evaluator is None:
            return
        self.look()
        with unmoved(), self.trainer.translating() as method:
            judge = partial(self.evaluator, method, self.journal.recent)
            judgement = self._main_does(judge)
        self.trainer.plateau.observe(judgement.score, self.config.schedule)
        better = self.watch.take(self.trainer.steps, judgement)
        self._main_does(partial(self.journal.judged, self.trainer.steps, judgement, self.watch))
        if better:
            self.checkpoint()
