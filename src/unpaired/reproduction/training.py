"""The runs that tables need: planned, trained where missing, judged where not yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unpaired.errors import UserError
from unpaired.evaluation.instruments import Instruments
from unpaired.evaluation.judging import judge, save, saved_numbers
from unpaired.evaluation.validation import train
from unpaired.methods import METHODS
from unpaired.reproduction.contenders import TO_PHOTO
from unpaired.training.card import read_card
from unpaired.training.config import TrainConfig, read_yaml, refuse_changes
from unpaired.training.finding import find_checkpoint, read_progress
from unpaired.training.loop import DivergedError


@dataclass(frozen=True)
class Training:
    """One run that the tables need."""

    contender: str
    config: TrainConfig[Any]
    folder: Path


def plan(
    shown: Mapping[str, Sequence[str]],
    configs: Mapping[str, TrainConfig[Any]],
    out: Path,
    seeds: int,
    labels_in_x: bool = True,
) -> list[Training]:
    """Every training that the tables need, once, those of one seed before the next.

    A method that goes one way is trained once for each direction, with X and Y exchanged for one.

    Args:
        shown: the contenders of each table.
        configs: by contender; alike in all but what makes them different methods.
        seeds: how often each is trained; they count up from the configuration's.
        labels_in_x: whether domain X of the data holds the label images.
    """
    trainings = []
    for offset in range(seeds):
        for key, config in configs.items():
            ways = {TO_PHOTO[table] for table, keys in shown.items() if key in keys}
            if len(METHODS[config.method].directions) == 2:
                exchanged = [False] if ways else []
            else:
                exchanged = sorted({way != labels_in_x for way in ways})
            for swap in exchanged:
                own = replace(swapped(config) if swap else config, seed=config.seed + offset)
                name = key + ("-back" if swap else "") + (f"-seed{own.seed}" if seeds > 1 else "")
                trainings.append(Training(key, own, out / "runs" / name))
    return trainings


def swapped(config: TrainConfig[Any]) -> TrainConfig[Any]:
    """The same training with X and Y exchanged, and what is set for each of them too."""
    images = config.images
    theirs: dict[str, Any] = {}
    for name in ("mode", "load", "interpolation", "flip", "rotate"):
        if (value := getattr(images, f"{name}_y")) is not None:
            theirs |= {name: value, f"{name}_y": getattr(images, name)}
    return replace(
        config,
        swap=not config.swap,
        images=replace(images, **theirs),
        channels_x=config.channels_y,
        channels_y=config.channels_x,
    )


def complete(training: Training) -> bool:
    """Whether the run is there and as long as its configuration asks.

    Raises: UserError if another run lies in its folder.
    """
    saved = training.folder / "config.yaml"
    if not (training.folder / "latest").is_file():
        return False
    try:
        refuse_changes(read_yaml(saved), training.config)
    except UserError as error:
        option = str(error).split(" ", 1)[0]
        raise UserError(
            f'"{training.folder}" holds a run that was trained with another {option}; give the '
            "options it was made with, or another --out"
        ) from None
    checkpoint = find_checkpoint(training.folder)
    card = read_card(checkpoint)
    (unit, amount), *_ = training.config.length.items()
    if unit == "minutes":
        return bool(read_progress(checkpoint).get("seconds", 0.0) >= 60 * amount)
    return bool((card.step if unit == "steps" else card.epoch) >= amount)


def train_missing(
    trainings: Sequence[Training], say: Callable[[str], None], *, quiet: bool = False
) -> dict[Path, str]:
    """Train what is not complete, continuing what was interrupted.

    Returns: why a run has no end, by its folder; {} if all is well.
    Raises: UserError, Interrupted as `train`.
    """
    failed: dict[Path, str] = {}
    for number, training in enumerate(trainings, 1):
        if complete(training):
            continue
        say(f"[{number}/{len(trainings)}] training {training.folder.name}")
        try:
            train(training.config, training.folder, resume=True, quiet=quiet)
        except DivergedError as error:
            failed[training.folder] = str(error)
            say(f"warning: {training.folder.name}: {error}")
    return failed


def judge_missing(
    trainings: Sequence[Training], instruments: Instruments, say: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """The numbers of every run, by its folder's name; measured where they are missing or old."""
    found = {}
    for number, training in enumerate(trainings, 1):
        numbers = saved_numbers(training.folder, instruments)
        if numbers is None:
            say(f"[{number}/{len(trainings)}] judging {training.folder.name}")
            judged = judge(training.folder, instruments)
            save(judged)
            numbers = judged.numbers()
        found[training.folder.name] = numbers
    return found
