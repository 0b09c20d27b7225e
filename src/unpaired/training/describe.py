"""What a run's next checkpoint says of itself."""

from __future__ import annotations

from unpaired.data.domains import DataSet
from unpaired.training.card import Card
from unpaired.training.config import to_dict
from unpaired.training.trainer import Trainer


def describe(trainer: Trainer, data: DataSet, epoch: float, score: float | None) -> Card:
    """The card of `trainer` as it stands.

    Args: score: the validation score at this very step, if one was taken.
    """
    config, method = trainer.config, trainer.method
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
        precision="fp32" if trainer.dtype is None else str(trainer.dtype)[6:],
        step=trainer.steps,
        epoch=epoch,
        preset=config.preset,
        score=score,
        units_x=data.train_x.units,
        units_y=data.train_y.units,
    )
