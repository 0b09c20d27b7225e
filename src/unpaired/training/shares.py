"""The pictures of a run: those it trains on, those that judge it, those that are shown."""

from __future__ import annotations

from functools import partial
from typing import Any

from accelerate import Accelerator

from unpaired import launch
from unpaired.data.batches import Batches, Skip
from unpaired.data.datasets import open_dataset
from unpaired.data.domains import DataSet
from unpaired.methods import KINDS
from unpaired.training.config import TrainConfig
from unpaired.training.validation import hold_out


def data_of(
    config: TrainConfig[Any],
    channels_x: int | None,
    channels_y: int | None,
    *,
    paired: bool | None = None,
) -> DataSet:
    """The data set of a run.

    Args:
        channels_x, channels_y: as for `open_dataset`.
        paired: None: as its method takes it.
    Raises: UserError as `open_dataset`.
    """
    return open_dataset(
        config.data,
        config.x,
        config.y,
        channels_x=channels_x,
        channels_y=channels_y,
        range_x=config.images.of("x").range,
        range_y=config.images.of("y").range,
        paired=KINDS[config.method].paired if paired is None else paired,
        swap=config.swap,
    )


class Shares:
    """Attributes:
    train: what the run learns from.
    held: the validation share, split off from the training pictures; None: none is asked for.
    shown: the test pictures (the training ones where there are none), for the sample grids alone.
    """

    def __init__(
        self,
        data: DataSet,
        config: TrainConfig[Any],
        accelerator: Accelerator,
        on_skip: Skip,
        *,
        paired: bool,
    ) -> None:
        """Raises: UserError if there are too few pictures to hold some out."""
        batches = partial(
            Batches,
            images=config.images,
            size=config.size,
            batch=config.batch,
            seed=config.seed,
            workers=config.workers,
            cache_share=config.cache,
            rank=accelerator.process_index,
            ranks=accelerator.num_processes,
            neighbours=launch.processes_here(),
            on_skip=on_skip,
            paired=paired,
        )
        x, y = data.train_x, data.train_y
        self.held: Batches | None = None
        if config.evaluate_every:
            x, held_x = hold_out(x, config.seed, "x")
            y, held_y = hold_out(y, config.seed, "x" if paired else "y")
            self.held = batches(held_x, held_y)
        self.train = batches(x, y)
        self.shown = batches(data.test_x or data.train_x, data.test_y or data.train_y)
