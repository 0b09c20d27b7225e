"""The loop around a trainer: steps until the end; samples, evaluations, checkpoints on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

from unpaired.data.order import spread
from unpaired.errors import SaidElsewhere, UserError
from unpaired.methods import Method
from unpaired.methods.base import Batch
from unpaired.training.finding import find_checkpoint
from unpaired.training.interruption import Interrupted, Signals
from unpaired.training.keeping import Keeper
from unpaired.training.outset import outset
from unpaired.training.randomness import unmoved
from unpaired.training.ranks import Note
from unpaired.training.samples import grid, sample_columns, write_grid
from unpaired.training.session import Session

SAMPLES = 6  # rows of the sample grid
SECONDS_BETWEEN_PICTURES = 60.0  # when epochs are short


class DivergedError(Exception):
    """Too many steps in a row were not finite; the last good checkpoint is intact."""


class Loop:
    """Goes through the steps of a session whose folder is open."""

    def __init__(self, session: Session, keeper: Keeper) -> None:
        self.session, self.keeper = session, keeper
        self.config, self.ranks, self.trainer = session.config, session.ranks, session.trainer
        self.pace, self.watch, self.journal = session.pace, session.watch, session.journal
        # reading the guard waits for the device; on a CPU there is nothing to wait for
        self.look_every = 1 if self.trainer.device.type == "cpu" else self.config.patience
        self.skipped = self.trainer.guard.read().skipped  # as last read
        self.pictured = keeper.saved  # step of the last grid; a checkpoint's has its own
        self.pictured_at = self.saved_at = -SECONDS_BETWEEN_PICTURES

    def run(self) -> None:
        """Step until the end; sample, log, evaluate and checkpoint on the way.

        Raises:
            Interrupted: a signal came; everything is saved.
            UserError: no further batch can be read; what was learned is saved.
            DivergedError: too many steps in a row were not finite.
        """
        session = self.session
        with Signals(launched=self.ranks.count > 1) as signals, session.reporter:
            self.pace.start(self.trainer.steps)
            finished = self.pace.progress(self.trainer.steps) >= 1
            for line in outset(session, resumed=self.keeper.saved >= 0, finished=finished):
                session.reporter.say(line)
            micro = session.shares.train.from_step(self.pace.batches)
            session.opened.enter_context(contextlib.closing(micro))
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
                self.pace.tick(now * session.whole_batch * self.config.accumulate)
                if now % self.config.log_every == 0:
                    session.main_does(partial(self.journal.log, now, step.lr, self.skipped))
                if self.ranks.main and session.reporter.due():
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
            if self.ranks.main and not finished:
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
        skipped = () if self.ranks.main else tuple(self.session.unreadable)
        notes = self.ranks.meet(Note(signal, self.pace.elapsed, failure, skipped))
        self.pace.now = notes[0].seconds
        if self.ranks.main:
            for note in notes[1:]:
                for name, reason in note.skipped:
                    self.session.skip(name, reason)
        failures = [note.failure for note in notes if note.failure]
        return max(note.signal for note in notes), failures[0] if failures else None

    def _leave(self, signal: int, failure: str | None) -> Exception:
        """What ends the run before its end."""
        if signal:
            return Interrupted(signal, self.session.out, self.trainer.steps)
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
        self.session.reporter.say(
            f"warning: step {faults.step}: {bad} not finite; no player stepped "
            f"({faults.in_a_row} in a row, {faults.skipped} in all)"
        )
        if faults.in_a_row >= self.config.patience:
            good = find_checkpoint(self.session.out) if self.keeper.saved >= 0 else "none"
            raise DivergedError(
                f"{bad} not finite for {faults.in_a_row} steps in a row up to "
                f"step {faults.step}; the last good checkpoint is {good}; try a smaller "
                "--optimizer.lr, --clip 1, or --precision fp32"
            )

    def checkpoint(self) -> None:
        """Save the complete state, unless it is saved."""
        self.look()
        if self.keeper.saved == self.trainer.steps:
            return
        self.keeper.save()
        self.saved_at = self.pace.now

    def sample(self) -> None:
        """Write the grid of fixed images with the weights that will be used."""
        if self.pictured == self.trainer.steps:
            return
        with unmoved(), self.trainer.translating() as method:
            self.session.main_does(partial(self._write_sample, method))
        self.pictured, self.pictured_at = self.trainer.steps, self.pace.now

    def _write_sample(self, method: Method) -> None:
        shown, device, step = self.session.shares.shown, self.trainer.device, self.trainer.steps
        x = shown.fixed("x", spread(len(shown.x), SAMPLES)).to(device)
        y = shown.fixed("y", spread(len(shown.y), SAMPLES)).to(device)
        columns = sample_columns(method, x, y)
        write_grid(columns, self.session.out / "samples" / f"step_{step:08d}.png")
        self.journal.picture(step, grid(columns))

    def evaluate(self) -> None:
        """Judge the weights that will be used on the held-out share, if any; keep the best."""
        if (evaluator := self.session.evaluator) is None:
            return
        self.look()
        with unmoved(), self.trainer.translating() as method:
            judgement = self.session.main_does(partial(evaluator, method, self.journal.recent))
        self.trainer.plateau.observe(judgement.score, self.config.schedule)
        step, better = self.trainer.steps, self.watch.take(self.trainer.steps, judgement)
        self.session.main_does(partial(self.journal.judged, step, judgement, self.watch))
        if better:
            self.checkpoint()
