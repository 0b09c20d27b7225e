"""A run from its folder's first file to its last: open the data, train, checkpoint, resume."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from unpaired.data.batches import Batches
from unpaired.data.domains import DataSet, Domain, open_dataset
from unpaired.data.order import spread
from unpaired.errors import UserError
from unpaired.methods import METHODS
from unpaired.methods.base import Direction
from unpaired.training.checkpoint import (
    Card,
    find_checkpoint,
    point,
    prune,
    read_state,
    save_checkpoint,
)
from unpaired.training.config import (
    TrainConfig,
    read_yaml,
    refuse_changes,
    to_dict,
    write_yaml,
)
from unpaired.training.folder import folder_errors, lock, may_continue
from unpaired.training.interruption import Interrupted, Signals
from unpaired.training.misfit import refuse_misfit
from unpaired.training.precision import choose_device
from unpaired.training.progress import Reporter, clock
from unpaired.training.randomness import seed_everything
from unpaired.training.samples import grid, sample_columns, write_grid
from unpaired.training.tracking import Tracker, environment, note_session
from unpaired.training.trainer import Trainer
from unpaired.training.validation import hold_out

Translate = Callable[[Tensor, Direction], Tensor]
Score = Callable[[Translate, Tensor, Tensor], float]
"""(translate, validation x, validation y) -> a number, lower is better."""

SAMPLES = 6  # rows of the sample grid
SECONDS_BETWEEN_PICTURES = 60.0  # when epochs are short


class DivergedError(Exception):
    """Too many steps in a row were not finite; the last good checkpoint is intact."""


def train(
    config: TrainConfig[Any],
    out: Path,
    *,
    resume: bool = False,
    score: Score | None = None,
    quiet: bool = False,
) -> Path:
    """Train until the configured length is reached.

    Args:
        out: the run folder; must be new or empty, unless `resume`.
        resume: continue from `out`'s latest checkpoint if it has one, bit for bit.
        score: validation score for `config.evaluate_every`.
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
    if config.evaluate_every and score is None:
        raise UserError("--evaluate-every needs a score function; call unpaired.train, or drop it")
    device = choose_device(config.device)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    dataset = open_dataset(
        config.data,
        Path(config.x) if config.x else None,
        Path(config.y) if config.y else None,
        channels_x=config.channels_x,
        channels_y=config.channels_y,
        paired=METHODS[config.method].paired,
        swap=config.swap,
    )
    accelerator = Accelerator(mixed_precision="no", cpu=device.type == "cpu")
    run = _Run(config, out, dataset, accelerator, score, Reporter(quiet))
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
        score: Score | None,
        reporter: Reporter,
    ) -> None:
        self.config, self.out, self.accelerator = config, out, accelerator
        self.dataset, self.score, self.reporter = dataset, score, reporter
        self.paired = METHODS[config.method].paired
        train_x, train_y = dataset.train_x, dataset.train_y
        held_x = held_y = None
        if config.evaluate_every:
            train_x, held_x = hold_out(train_x, config.seed, "x")
            train_y, held_y = hold_out(train_y, config.seed, "x" if self.paired else "y")
        self.batches = self._batches(train_x, train_y)
        self.held = self._batches(held_x, held_y) if held_x and held_y else None
        shown_x, shown_y = dataset.test_x or dataset.train_x, dataset.test_y or dataset.train_y
        self.shown = self._batches(shown_x, shown_y)
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
        self.epoch_steps = max(1, self.batches.steps_per_epoch // config.accumulate)
        self.seconds = 0.0  # of training, over all sessions of this run
        self.began, self.began_at = time.monotonic(), 0.0
        self.best: float | None = None
        self.last_score: float | None = None
        self.pictured = self.saved = -1  # step of the last grid and checkpoint
        self.pictured_at = self.saved_at = -SECONDS_BETWEEN_PICTURES
        self.opened = contextlib.ExitStack()  # what `close` closes
        self.rates: deque[tuple[float, int]] = deque(maxlen=20)

    def _batches(self, x: Domain, y: Domain) -> Batches:
        config = self.config
        return Batches(
            x,
            y,
            config.images,
            size=config.size,
            batch=config.batch,
            seed=config.seed,
            workers=config.workers,
            cache_share=config.cache,
            rank=self.accelerator.process_index,
            ranks=self.accelerator.num_processes,
            on_skip=self._on_skip,
            paired=self.paired,
        )

    @property
    def main(self) -> bool:
        """Whether this process is the one that writes."""
        return bool(self.accelerator.is_main_process)

    # -- the folder ------------------------------------------------------------------------------

    def open(self, continuing: bool) -> None:
        """Make the folder, or take up its latest checkpoint."""
        if self.main:
            self.out.mkdir(parents=True, exist_ok=True)
            if (held := lock(self.out)) is not None:
                self.opened.callback(os.close, held)
        if continuing:
            card, state = read_state(find_checkpoint(self.out))
            self.trainer.restore(state)
            try:
                so_far = state.values["run"]
                self.seconds, self.best = so_far["seconds"], so_far["best"]
                prepared = so_far["prepared"]
            except KeyError as error:
                raise UserError(
                    f"the checkpoint lacks {error}; it can't continue the run"
                ) from None
            if prepared != self.prepared:
                raise UserError(
                    f"the run was trained with {prepared}, but here is {self.prepared}; install "
                    "what it had, or start a new run with another --out"
                )
            self.saved = self.pictured = self.trainer.steps
            self.reporter.say(f"continuing {self.out} from step {card.step}")
        if self.main:
            write_yaml(self.config, self.out / "config.yaml")
            facts = environment(self.trainer.device, self.trainer.dtype)
            note_session(self.out, {**facts, "step": self.trainer.steps, "loaded": self.prepared})
            for name, reason in self.dataset.skipped:
                self._on_skip(name, reason)
            self.tracker = Tracker(self.out, self.trainer.steps)
            self.opened.callback(self.tracker.close)

    def _on_skip(self, name: str, reason: str) -> None:
        self.reporter.say(f"warning: skipping {name}: {reason}")
        self._note_skipped(name, reason)

    def _note_skipped(self, name: str, reason: str) -> None:
        """A line in skipped.txt, once, however often the run is resumed."""
        path, line = self.out / "skipped.txt", f"{name}\t{reason}\n"
        if self.main and not (path.exists() and line in path.read_text(encoding="utf-8")):
            with path.open("a", encoding="utf-8") as file:
                file.write(line)

    def close(self) -> None:
        """Close the logs and let go of the folder."""
        self.opened.close()

    def checkpoint(self) -> None:
        """Save the complete state; every process takes part, the main one writes."""
        if not self.main or self.saved == self.trainer.steps:
            return
        state = self.trainer.state()
        state.values["run"] = {
            "seconds": self._elapsed(),
            "best": self.best,
            "prepared": self.prepared,
        }
        folder = save_checkpoint(self.out, self._card(), state)
        if self.last_score is not None and (self.best is None or self.last_score < self.best):
            self.best = self.last_score
            point(self.out, "best", folder.name)
        prune(self.out, self.config.keep)
        self.saved, self.saved_at = self.trainer.steps, time.monotonic()

    def _card(self) -> Card:
        config, method, data = self.config, self.trainer.method, self.dataset
        plain = to_dict(config)
        return Card(
            method=config.method,
            settings=plain["settings"],
            channels_x=data.train_x.channels,
            channels_y=data.train_y.channels,
            dtype_x=data.train_x.dtype,
            dtype_y=data.train_y.dtype,
            size=config.size,
            images=plain["images"],
            data=data.name,
            directions=method.directions,
            multiple=method.multiple,
            precision="fp32" if self.trainer.dtype is None else str(self.trainer.dtype)[6:],
            step=self.trainer.steps,
            epoch=self.trainer.steps / self.epoch_steps,
            preset=config.preset,
            score=self.last_score,
        )

    # -- the loop --------------------------------------------------------------------------------

    def loop(self) -> None:
        """Step until the end; sample, log, evaluate and checkpoint on the way."""
        with Signals() as signals, self.reporter:
            self.began = time.monotonic()
            self.began_at = self._progress()
            micro = self.batches.from_step(self.trainer.steps * self.config.accumulate)
            if self.trainer.steps == 0:
                self.sample()
            sums: dict[str, Tensor] = {}
            counted = 0
            while (progress := self._progress()) < 1:
                try:
                    batches = [self._to_device(next(micro)) for _ in range(self.config.accumulate)]
                except UserError:  # the data are gone; what was learned is not
                    self.checkpoint()
                    raise
                step = self.trainer.step(batches, progress)
                if step.finite:
                    counted += 1
                    for name, value in step.losses.items():
                        sums[name] = sums.get(name, 0) + value
                else:
                    self._not_finite(step.losses)
                now = self.trainer.steps
                images = self.config.batch * self.config.accumulate * self.accelerator.num_processes
                self.rates.append((time.monotonic(), now * images))
                if now % self.config.log_every == 0 and counted:
                    self._log({k: float(v) / counted for k, v in sums.items()}, step.lr)
                    sums, counted = {}, 0
                if self.reporter.due():
                    self._show(step.losses)
                if self.config.evaluate_every and now % self.config.evaluate_every == 0:
                    self.evaluate()
                if self._due(self.config.sample_every, self.pictured_at):
                    self.sample()
                if signals.received:
                    self.checkpoint()
                    raise Interrupted(signals.received, self.out, now)
                if self._due(self.config.checkpoint_every, self.saved_at):
                    self.checkpoint()
            self.checkpoint()
            self.sample()
            self._show({})
        self.reporter.say(
            f"done: {self.trainer.steps} steps in {clock(self._elapsed())}"
            + (f", {self.trainer.skipped} not finite and skipped" if self.trainer.skipped else "")
        )

    def _to_device(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: images.to(
                self.trainer.device, non_blocking=True, memory_format=torch.channels_last
            )
            for name, images in batch.items()
        }

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.began

    def _progress(self) -> float:
        """Share of the run that is done."""
        (unit, amount), *_ = self.config.length.items()
        if unit == "minutes":
            return self._elapsed() / (60 * amount)
        return self.trainer.steps / (amount if unit == "steps" else amount * self.epoch_steps)

    def _due(self, every: int | None, last: float) -> bool:
        """By count if `every` is given; else at an epoch's end, if the last was a while ago."""
        if every:
            return self.trainer.steps % every == 0
        return (
            self.trainer.steps % self.epoch_steps == 0
            and time.monotonic() - last >= SECONDS_BETWEEN_PICTURES
        )

    def _rate(self) -> float:
        (t0, n0), (t1, n1) = self.rates[0], self.rates[-1]
        return (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0

    def _log(self, losses: dict[str, float], lr: float) -> None:
        if self.main:
            values = {"epoch": self.trainer.steps / self.epoch_steps, "seconds": self._elapsed()}
            values |= {"lr": lr, "images_per_second": self._rate()}
            if self.trainer.skipped:
                values["skipped"] = self.trainer.skipped
            self.tracker.write(self.trainer.steps, {**values, **losses})

    def _show(self, losses: dict[str, Tensor]) -> None:
        progress = min(1.0, self._progress())
        here = time.monotonic() - self.began
        left = here * (1 - progress) / max(progress - self.began_at, 1e-9)
        numbers = {k: float(v) for k, v in losses.items()}
        rate = self._rate() if self.rates else 0.0
        self.reporter.show(self.trainer.steps, progress, numbers, rate, left)

    def _not_finite(self, losses: dict[str, Tensor]) -> None:
        trainer = self.trainer
        bad = [name for name, value in losses.items() if not value.isfinite()] or ["a gradient"]
        self.reporter.say(
            f"warning: step {trainer.steps}: {', '.join(bad)} not finite; no player stepped "
            f"({trainer.skipped_in_a_row} in a row, {trainer.skipped} in all)"
        )
        if trainer.skipped_in_a_row >= self.config.patience:
            raise DivergedError(
                f"{', '.join(bad)} not finite for {trainer.skipped_in_a_row} steps in a row up to "
                f"step {trainer.steps}; the last good checkpoint is "
                f"{find_checkpoint(self.out) if self.saved >= 0 else 'none'}; try a smaller "
                "--optimizer.lr, --clip 1, or --precision fp32"
            )

    @contextlib.contextmanager
    def _translating(self) -> Iterator[Translate]:
        """The weights that will be used, in evaluation mode."""
        method = self.trainer.method
        with self.trainer.ema.applied() if self.trainer.ema else contextlib.nullcontext():
            method.eval()
            with torch.no_grad():
                yield lambda images, way: method.translate(images.to(self.trainer.device), way)
        method.train()

    def sample(self) -> None:
        """Write the grid of fixed images with the weights that will be used."""
        if not self.main or self.pictured == self.trainer.steps:
            return
        x = self.shown.fixed("x", spread(len(self.shown.x), SAMPLES)).to(self.trainer.device)
        y = self.shown.fixed("y", spread(len(self.shown.y), SAMPLES)).to(self.trainer.device)
        with self._translating():
            columns = sample_columns(self.trainer.method, x, y)
        write_grid(columns, self.out / "samples" / f"step_{self.trainer.steps:08d}.png")
        self.tracker.picture(self.trainer.steps, grid(columns))
        self.pictured, self.pictured_at = self.trainer.steps, time.monotonic()

    def evaluate(self) -> None:
        """Score the weights that will be used on the held-out share, and keep the best."""
        assert self.held is not None
        assert self.score is not None
        x = self.held.fixed("x", range(len(self.held.x)))
        y = self.held.fixed("y", range(len(self.held.y)))
        with self._translating() as translate:
            self.last_score = self.score(translate, x, y)
        self.trainer.plateau.observe(self.last_score, self.config.schedule)
        if self.main:
            self.tracker.write(self.trainer.steps, {"validation_score": self.last_score})
            self.reporter.say(f"step {self.trainer.steps}: validation score {self.last_score:.4f}")
        if self.best is None or self.last_score < self.best:
            self.checkpoint()
        self.last_score = None
