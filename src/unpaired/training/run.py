"""A run from its folder's first file to its last: open the data, train, checkpoint, resume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from unpaired import launch
from unpaired.data.fingerprint import across_machines
from unpaired.errors import UserError
from unpaired.methods import METHODS
from unpaired.methods.imported import NOT_TRAINED
from unpaired.training.config import TrainConfig, read_yaml, refuse_changes
from unpaired.training.folder import folder_errors, may_continue
from unpaired.training.keeping import Keeper
from unpaired.training.loop import Loop
from unpaired.training.outset import named
from unpaired.training.precision import choose_device
from unpaired.training.progress import Reporter
from unpaired.training.ranks import Ranks
from unpaired.training.services import check_installed
from unpaired.training.session import Session
from unpaired.training.shares import data_of
from unpaired.training.validation import Judge


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
    if config.method not in METHODS:
        raise UserError(NOT_TRAINED)
    if config.evaluate_every and judge is None:
        raise UserError("--evaluate-every needs a judge; call unpaired.train, or drop it")
    check_installed(config.tracker)
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
        reporter = Reporter(quiet or not ranks.main)
        with reporter.patience(f"looking through the pictures of {named(config)} ..."):
            dataset = ranks.all(lambda: data_of(config, config.channels_x, config.channels_y))
        ranks.agree(across_machines(dataset) if ranks.count > 1 else "", "pictures")
        session = Session(config, out, dataset, ranks, judge, reporter)
        with session.opened:
            keeper = Keeper(session)
            keeper.open(before)
            Loop(session, keeper).run()
    return out


def _config_before(config: TrainConfig[Any], out: Path, resume: bool) -> TrainConfig[Any] | None:
    """The configuration of the run in `out` that is to be continued; None: it starts anew.

    Raises: UserError if it can't be continued with `config`, or `out` is something else.
    """
    if not may_continue(out, resume):
        return None
    before = read_yaml(out / "config.yaml")
    refuse_changes(replace(before, batch=config.batch), config)  # `Keeper` sees to the batch
    return before
