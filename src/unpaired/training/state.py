"""A trainer's state, taken and taken up: all that its next step depends on, and nothing else."""

from __future__ import annotations

import math

from torch import Tensor

from unpaired.errors import UserError
from unpaired.training.checkpoint import State
from unpaired.training.randomness import random_state, restore_random_state
from unpaired.training.schedule import Plateau
from unpaired.training.sharding import shard_of
from unpaired.training.trainer import Trainer


def state_of(trainer: Trainer) -> State:
    """The state as tensors and plain values.

    It is whole, however it is sharded; all processes take part.
    """
    shards, plateau = trainer.shards, trainer.plateau
    random_tensors, random_values = random_state()
    average = trainer.ema.average if trainer.ema else {}
    moments = {k: v for player in trainer.players for k, v in player.state().items()}
    faults = trainer.guard.read()
    tensors = {
        "weights": trainer.weights(),
        "ema": {k: shards.whole(k, v) for k, v in average.items()},
        "optimizers": {k: shards.whole(k.split("/")[1], v) for k, v in moments.items()},
        "history": {name: buffer.state() for name, buffer in trainer.history.items()},
        "random": random_tensors,
    }
    values = {
        "steps": trainer.steps,
        "stepped": [player.name for player in trainer.players if player.optimizer.state],
        "skipped": faults.skipped,
        "skipped_in_a_row": faults.in_a_row,
        "plateau": {
            "best": plateau.best if math.isfinite(plateau.best) else None,
            "waited": plateau.waited,
            "factor": plateau.factor,
        },
        "scaler": trainer.scaler.state_dict(),
        "random": random_values,
    }
    return State(tensors, values)


def restore(trainer: Trainer, state: State) -> None:
    """Let a trainer take up a state.

    Raises: UserError that names the first field that is missing or does not fit.
    """
    tensors, values, own = state.tensors, state.values, trainer.shards.own
    try:
        _load(trainer, tensors["weights"])
        if trainer.ema:
            trainer.ema.restore({k: own(k, v) for k, v in tensors["ema"].items()})
        moments = {k: own(k.split("/")[1], v) for k, v in tensors["optimizers"].items()}
        for player in trainer.players:
            player.restore(moments, stepped=player.name in values["stepped"])
        for name, buffer in trainer.history.items():
            buffer.restore(tensors["history"][name].to(trainer.device))
        plateau = values["plateau"]
        trainer.plateau = Plateau(
            best=math.inf if plateau["best"] is None else plateau["best"],
            waited=plateau["waited"],
            factor=plateau["factor"],
        )
        scaler = values["scaler"]
        if scaler or not trainer.scaler.is_enabled():
            trainer.scaler.load_state_dict(scaler)
        trainer.steps = values["steps"]
        trainer.guard.restore(values["skipped"], values["skipped_in_a_row"])
        restore_random_state(tensors["random"], values["random"])
    except KeyError as error:
        raise UserError(f"the checkpoint lacks {error}; it can't continue the run") from None
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        detail = " ".join(str(error).split())[:300]
        raise UserError(f"the checkpoint does not fit this run: {detail}") from None


def _load(trainer: Trainer, weights: dict[str, Tensor]) -> None:
    """Take up whole weights and buffers that must fit."""
    if not trainer.shards.spread:
        trainer.method.load_state_dict(weights, strict=True)
        return
    for name, value in trainer.method.state_dict().items():
        shard_of(value).copy_(trainer.shards.own(name, weights[name]))
