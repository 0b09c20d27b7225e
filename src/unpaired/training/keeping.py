"""A session and its run folder: taken or taken up at the start, saved on the way."""

from __future__ import annotations

from functools import partial
from typing import Any

from unpaired import launch
from unpaired.errors import UserError
from unpaired.training.checkpoint import State, point, prune, read_last_state, save_checkpoint
from unpaired.training.config import TrainConfig, write_yaml
from unpaired.training.describe import describe
from unpaired.training.finding import checkpoints_of, pointed_at
from unpaired.training.folder import lock, refuse_links
from unpaired.training.outside import begin
from unpaired.training.session import Session
from unpaired.training.state import restore, state_of
from unpaired.training.tracking import (
    Tracker,
    environment,
    losses_of,
    note_session,
    read_findings,
    read_metrics,
)

SECONDS_OF_A_LOST_PROCESS = 60.0  # that its helpers may still hold the folder after a restart


class Keeper:
    """Keeps a session's state in its run folder.

    Attributes:
        saved: step of the last checkpoint, written or taken up; -1: there is none.
    """

    def __init__(self, session: Session) -> None:
        self.session, self.out = session, session.out
        self.saved = -1
        self.said: set[str] = set()

    def open(self, before: TrainConfig[Any] | None) -> None:
        """Make the folder, or take up its latest checkpoint.

        Args: before: the configuration that the run had; None: it starts anew.
        Raises: UserError if another process holds the folder, or its checkpoint doesn't fit.
        """
        session = self.session
        state = session.main_does(partial(self._take_folder, before is not None))
        if state is not None and before is not None:
            session.ranks.all(partial(self._restore, state, before))
        session.main_does(self._open_logs)

    def _take_folder(self, continuing: bool) -> State | None:
        """Make the folder, or hold it and read the latest checkpoint."""
        self.out.mkdir(parents=True, exist_ok=True)
        refuse_links(self.out)
        say, patience = self.session.reporter.say, 0.0
        if restarts := launch.restarts():
            patience = SECONDS_OF_A_LOST_PROCESS
            say(f"restarted by the launcher ({restarts}), a process was lost")
        if launch.restart_may_fail():
            say(
                "warning: PyTorch may fail to restart lost processes; set "
                "TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 and give torchrun --standalone or "
                "--rdzv_backend c10d"
            )
        self.session.opened.enter_context(lock(self.out, say, patience))
        if not continuing:
            return None
        folder, _, state = read_last_state(self.out, say)
        if pointed_at(self.out, "latest") != folder.name:
            point(self.out, "latest", folder.name)
        return state

    def _restore(self, state: State, before: TrainConfig[Any]) -> None:
        session, say = self.session, self.session.reporter.say
        config, trainer, pace = session.config, session.trainer, session.pace
        restore(trainer, state)
        try:
            so_far = state.values["run"]
            pace.seconds, prepared = so_far["seconds"], so_far["prepared"]
            if "best" not in so_far:  # as it stood there before there was a watch
                session.watch.restore(so_far["watch"])
            if {"whole_batch", "place"}.isdisjoint(so_far):  # before there were more processes
                whole_batch = before.batch
                pace.batches = trainer.steps * config.accumulate
            else:
                whole_batch = so_far["whole_batch"]
                pace.batches = session.shares.train.step_at(*so_far["place"])
        except (KeyError, TypeError) as error:
            raise UserError(f"the checkpoint lacks {error}; it can't continue the run") from None
        if prepared != session.prepared:
            raise UserError(
                f"the run was trained with {prepared}, but here is {session.prepared}; install "
                "what it had, or start a new run with another --out"
            )
        if whole_batch != session.whole_batch:
            if before.batch != config.batch:
                raise UserError(
                    "--batch differs from the run that --resume would continue, and "
                    f"{session.ranks.count} x {config.batch} is not {whole_batch} pictures a "
                    "step; drop it, or start a new run with another --out"
                )
            say(
                f"warning: a step now takes {session.whole_batch} pictures of each domain; it "
                f"took {whole_batch}, with another number of processes"
            )
        self.saved = trainer.steps

    def _open_logs(self) -> None:
        session = self.session
        trainer, watch, journal = session.trainer, session.watch, session.journal
        outside = begin(session.config, self.out, session.reporter.say)
        for service in outside:
            session.opened.callback(service.close)
        write_yaml(session.config, self.out / "config.yaml")
        facts = environment(trainer.device, trainer.dtype)
        facts |= {"step": trainer.steps, "loaded": session.prepared}
        note_session(self.out, {**facts, "processes": session.ranks.count})
        for name, reason in session.dataset.skipped:
            session.skip(name, reason)
        journal.tracker = Tracker(self.out, trainer.steps, outside)
        session.opened.callback(journal.tracker.close)
        watch.recall(read_findings(self.out))
        for line in read_metrics(self.out):
            if line["step"] > (watch.last_step or 0):
                journal.remember(losses_of(line))
        best = f"step_{watch.best_step or 0:08d}"
        if best in {folder.name for folder in checkpoints_of(self.out)}:
            point(self.out, "best", best)  # a kill may have come before the pointer

    def save(self) -> None:
        """Save the complete state; the main process writes, the others wait for it."""
        trainer = self.session.trainer
        state = state_of(trainer)
        self.session.main_does(partial(self._write_checkpoint, state))
        self.saved = trainer.steps

    def _write_checkpoint(self, state: State) -> None:
        session = self.session
        steps, watch, pace = session.trainer.steps, session.watch, session.pace
        state.values["run"] = {
            "seconds": pace.elapsed,
            "prepared": session.prepared,
            "watch": watch.state(),
            "whole_batch": session.whole_batch,
            "place": session.shares.train.place(pace.batches),
        }
        score = watch.last if watch.last_step == steps else None
        card = describe(session.trainer, session.dataset, pace.epoch, score)
        folder = save_checkpoint(self.out, card, state)
        if watch.best_step == steps:
            point(self.out, "best", folder.name)
        prune(self.out, session.config.keep, self._say_once)

    def _say_once(self, text: str) -> None:
        if text not in self.said:
            self.said.add(text)
            self.session.reporter.say(text)
