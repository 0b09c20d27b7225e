"""A run from its folder's first file to its last: open the data, train, checkpoint, resume."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from unpaired.data.domains import DataSet
from unpaired.data.order import spread
from unpaired.errors import UserError
from unpaired.methods import METHODS
from unpaired.training.checkpoint import point, prune, read_last_state, save_checkpoint
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
from unpaired.training.randomness import seed_everything
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
        resume: continue from `out`'s latest checkpoint if it has one, bit for bit.
        judge: what scores the run on its validation share, for `config.evaluate_every`;
            `unpaired.train` gives `evaluation.validation.KIDJudge`.
    Returns: the run folder.
    Raises:
        UserError: whatever a user can mend, before anything is written where possible.
        Interrupted: after SIGTERM or SIGINT, with everything saved.
        DivergedError: after `config.patience` steps in a row that were not finite.
    """
    out = Path(out)
    continuing = may_continue(out, resume)
    if continuing:
        refuse_changes(read_yaml(out / "config.yaml"), config)
    if config.evaluate_every and judge is None:
        raise UserError("--evaluate-every needs a judge; call unpaired.train, or drop it")
    device = choose_device(config.device)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    dataset = data_of(config, config.channels_x, config.channels_y)
    accelerator = Accelerator(mixed_precision="no", cpu=device.type == "cpu")
    run = _Run(config, out, dataset, accelerator, judge, Reporter(quiet))
    with folder_errors(out):
        try:
            run.open(continuing)
            run.loop()
        finally:
            run.close()
    return out


class _Run:
    """The loop around a trainer, and everything it writes."""

    def __init__(
        self,
        config: TrainConfig[Any],
        out: Path,
        dataset: DataSet,
        accelerator: Accelerator,
        judge: Judge | None,
        reporter: Reporter,
    ) -> None:
        self.config, self.out, self.accelerator = config, out, accelerator
        self.dataset, self.reporter = dataset, reporter
        paired = METHODS[config.method].paired
        self.shares = Shares(dataset, config, accelerator, self._on_skip, paired=paired)
        seed_everything(config.seed + accelerator.process_index)
        method = METHODS[config.method](
            config.settings,
            channels_x=dataset.train_x.channels,
            channels_y=dataset.train_y.channels,
            size=config.size,
        )
        if config.size % method.multiple:
            raise UserError(
                f"--size is {config.size}, but this network needs a multiple of {method.multiple}"
            )
        self.prepared = method.prepare()
        if self.prepared:
            reporter.say(self.prepared)
        channels = (dataset.train_x.channels, dataset.train_y.channels)
        refuse_misfit(method, channels, config.batch, config.size)
        self.trainer = Trainer(method, config, accelerator)
        self.evaluator = None
        if judge and self.shares.held:
            self.evaluator = Evaluator(judge, self.shares.held, self.trainer)
        epoch_steps = max(1, self.shares.train.steps_per_epoch // config.accumulate)
        self.pace, self.watch = Pace(config.length, epoch_steps), Watch()
        self.journal = Journal(reporter, None, self.pace)
        # reading the guard waits for the device; on a CPU there is nothing to wait for
        self.look_every = 1 if self.trainer.device.type == "cpu" else config.patience
        self.skipped = 0  # as last read
        self.pictured = self.saved = -1  # step of the last grid and checkpoint
        self.pictured_at = self.saved_at = -SECONDS_BETWEEN_PICTURES
        self.opened = contextlib.ExitStack()  # what `close` closes

    @property
    def main(self) -> bool:
        """Whether this process is the one that writes."""
        return bool(self.accelerator.is_main_process)

    # -- the folder ------------------------------------------------------------------------------

    def open(self, continuing: bool) -> None:
        """Make the folder, or take up its latest checkpoint."""
        if self.main:
            self.out.mkdir(parents=True, exist_ok=True)
            refuse_links(self.out)
            if (held := lock(self.out)) is not None:
                self.opened.callback(os.close, held)
        if continuing:
            taken, card, state = read_last_state(self.out, self.reporter.say)
            self.trainer.restore(state)
            try:
                so_far = state.values["run"]
                self.pace.seconds, prepared = so_far["seconds"], so_far["prepared"]
                if "best" not in so_far:  # as it stood there before there was a watch
                    self.watch.restore(so_far["watch"])
            except (KeyError, TypeError) as error:
                raise UserError(
                    f"the checkpoint lacks {error}; it can't continue the run"
                ) from None
            if prepared != self.prepared:
                raise UserError(
                    f"the run was trained with {prepared}, but here is {self.prepared}; install "
                    "what it had, or start a new run with another --out"
                )
            self.saved = self.pictured = self.trainer.steps
            self.skipped = self.trainer.guard.read().skipped
            self.reporter.say(f"continuing {self.out} from step {card.step}")
            if self.main and pointed_at(self.out, "latest") != taken.name:
                point(self.out, "latest", taken.name)
        if self.main:
            write_yaml(self.config, self.out / "config.yaml")
            facts = environment(self.trainer.device, self.trainer.dtype)
            note_session(self.out, {**facts, "step": self.trainer.steps, "loaded": self.prepared})
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
        self.reporter.say(f"warning: skipping {name}: {reason}")
        if self.main:
            note_skipped(self.out, name, reason)

    def close(self) -> None:
        """Close the logs and let go of the folder."""
        self.opened.close()

    def checkpoint(self) -> None:
        """Save the complete state; every process takes part, the main one writes."""
        self.look()
        if not self.main or self.saved == self.trainer.steps:
            return
        state = self.trainer.state()
        state.values["run"] = {
            "seconds": self.pace.elapsed,
            "prepared": self.prepared,
            "watch": self.watch.state(),
        }
        steps, watch = self.trainer.steps, self.watch
        score = watch.last if watch.last_step == steps else None
        card = describe(self.trainer, self.dataset, steps / self.pace.epoch_steps, score)
        folder = save_checkpoint(self.out, card, state)
        if watch.best_step == steps:
            point(self.out, "best", folder.name)
        prune(self.out, self.config.keep)
        self.saved, self.saved_at = steps, time.monotonic()

    # -- the loop --------------------------------------------------------------------------------

    def loop(self) -> None:
        """Step until the end; sample, log, evaluate and checkpoint on the way."""
        with Signals() as signals, self.reporter:
            self.pace.start(self.trainer.steps)
            micro = self.shares.train.from_step(self.trainer.steps * self.config.accumulate)
            self.opened.enter_context(contextlib.closing(micro))
            if self.trainer.steps == 0:
                self.sample()
            self.watch.decide(self.config.stop_after)
            while (progress := self.pace.progress(self.trainer.steps)) < 1:
                if self.watch.stopped:
                    break
                try:
                    batches = [next(micro) for _ in range(self.config.accumulate)]
                except UserError:  # the data are gone; what was learned is not
                    self.checkpoint()
                    raise
                step = self.trainer.step([self.trainer.on_device(b) for b in batches], progress)
                self.journal.add(step.losses, step.finite)
                now = self.trainer.steps
                if now % self.look_every == 0 or now % self.config.log_every == 0:
                    self.look()
                images = self.config.batch * self.config.accumulate * self.accelerator.num_processes
                self.pace.tick(now * images)
                if now % self.config.log_every == 0:
                    self.journal.log(now, step.lr, self.skipped)
                if self.reporter.due():
                    self.journal.show(now, step.losses)
                if self.config.evaluate_every and now % self.config.evaluate_every == 0:
                    self.evaluate()
                    self.watch.decide(self.config.stop_after)
                if self._due(self.config.sample_every, self.pictured_at):
                    self.sample()
                if signals.received:
                    self.checkpoint()
                    raise Interrupted(signals.received, self.out, now)
                if self._due(self.config.checkpoint_every, self.saved_at):
                    self.checkpoint()
            self.look()
            if progress >= 1:
                self.watch.stopped = None  # it ended by its length
            if self.watch.last_step != self.trainer.steps:
                self.evaluate()
            self.checkpoint()
            self.sample()
            self.journal.show(self.trainer.steps, {})
        self.journal.end(self.trainer.steps, self.skipped, self.watch)

    def _due(self, every: int | None, last: float) -> bool:
        """By count if `every` is given; else at an epoch's end, if the last was a while ago."""
        if every:
            return self.trainer.steps % every == 0
        return (
            self.trainer.steps % self.pace.epoch_steps == 0
            and time.monotonic() - last >= SECONDS_BETWEEN_PICTURES
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
        if not self.main or self.pictured == self.trainer.steps:
            return
        shown, device = self.shares.shown, self.trainer.device
        x = shown.fixed("x", spread(len(shown.x), SAMPLES)).to(device)
        y = shown.fixed("y", spread(len(shown.y), SAMPLES)).to(device)
        with self.trainer.translating():
            columns = sample_columns(self.trainer.method, x, y)
        write_grid(columns, self.out / "samples" / f"step_{self.trainer.steps:08d}.png")
        self.tracker.picture(self.trainer.steps, grid(columns))
        self.pictured, self.pictured_at = self.trainer.steps, time.monotonic()

    def evaluate(self) -> None:
        """Judge the weights that will be used on the held-out share, if any; keep the best."""
        if self.evaluator is None:
            return
        self.look()
        judgement = self.evaluator(self.journal.recent)
        self.trainer.plateau.observe(judgement.score, self.config.schedule)
        better = self.watch.take(self.trainer.steps, judgement)
        self.journal.judged(self.trainer.steps, judgement, self.watch)
        if better:
            self.checkpoint()
