"""How each contender is trained unless told otherwise: alike in all but what makes it itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from unpaired.errors import UserError
from unpaired.methods import METHODS
from unpaired.options import nearest
from unpaired.reproduction.contenders import CONTENDERS, TABLES
from unpaired.training.config import TrainConfig, with_changes
from unpaired.training.presets import apply_preset

DATA = "worldtiles:labels-aerial"
PRESET = "small"
STEPS = 2000


def check_tables(tables: Iterable[str]) -> None:
    """Raises: UserError for a table that the paper does not have."""
    for table in tables:
        if table not in TABLES:
            raise UserError(f'no table "{table}"; give {", ".join(TABLES)}')


def contenders_of(tables: Sequence[str], asked: Sequence[str] | None = None) -> list[str]:
    """Keys of CONTENDERS: those asked for, or else all that stand in the tables.

    Raises: UserError for one that is unknown.
    """
    if asked is None:
        return list(dict.fromkeys(key for table in tables for key in TABLES[table]))
    for key in asked:
        if key not in CONTENDERS:
            raise UserError(
                f'--methods: unknown "{key}"{nearest(key, CONTENDERS)}; known are '
                f"{', '.join(CONTENDERS)}"
            )
    return list(asked)


def config_of(
    contender: str,
    presets: Sequence[str] = (PRESET,),
    *,
    own_data: bool = False,
    steps: int | None = STEPS,
) -> TrainConfig[Any]:
    """A contender's training.

    Args:
        contender: a key of CONTENDERS, whose own presets come after `presets`.
        own_data: leave `data` open, and all that suits the embedded tiles.
        steps: None: its length is left open.
    Raises: UserError for a preset that is unknown or not for its method.
    """
    one = CONTENDERS[contender]
    config: TrainConfig[Any] = TrainConfig(
        settings=METHODS[one.method].Config(), method=one.method, data=None if own_data else DATA
    )
    for preset in (*presets, *one.presets):
        config = apply_preset(config, preset)
    config = with_changes(config, {"steps": steps, "epochs": None, "minutes": None})
    if own_data:
        return config
    # seen from above; and the rate at which all of them learn at this size
    rotated: TrainConfig[Any] = with_changes(config, {"images.rotate": True, "optimizer.lr": 2e-4})
    return rotated
