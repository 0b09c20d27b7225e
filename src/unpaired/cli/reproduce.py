"""`unpaired reproduce`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import tyro

from unpaired.cli.measuring import MeasuringOptions
from unpaired.cli.outputs import check_writable
from unpaired.errors import UserError
from unpaired.evaluation.valid_json import json_text
from unpaired.options import parse, peek, take, take_all
from unpaired.whole import write_whole

C = TypeVar("C")

LENGTHS = ("--steps", "--epochs", "--budget")


@dataclass(frozen=True)
class ReproduceOptions(Generic[C]):
    """Print the paper's tables with our figures beside the published ones: unpaired reproduce 2 3.

    Trains every method that is missing, all alike and for an equal budget, judges them, and writes
    tables (text, Markdown, CSV, JSON, LaTeX) and a page with their pictures. Interrupted, the same
    command goes on where it stopped. Whatever option `unpaired train` has may be given too, and
    holds for every method. Table 1 is the study with people; 2 and 3 are the methods, labels to
    photo and photo to labels; 4 and 5 the parts of CycleGAN's objective, likewise. Without
    --segmenter one is trained on the real training pairs.
    """

    run: Annotated[C, tyro.conf.arg(name="")]
    budget: float | None = None
    """Minutes of training per run; or give --steps or --epochs."""
    methods: str | None = None
    """Only these rows, by comma, in every table asked for: cogan, bigan, simgan, feature_gan,
    cyclegan, cut, fastcut, pix2pix, cycle-alone, gan-alone, gan-forward-cycle, gan-backward-cycle.
    """
    seeds: int = 1
    """How often each is trained, from --seed upwards; figures become mean and deviation."""
    out: str = "runs/reproduce"
    """Where runs, tables and the page go; what is there is used."""
    preset: str | None = None
    """Named settings for all, given once or more; default: small for the embedded tiles, and for
    other data what each method's paper says."""
    measuring: Annotated[MeasuringOptions, tyro.conf.arg(name="")] = field(
        default_factory=MeasuringOptions
    )
    json: str | None = None
    """Write every figure to this file too."""

    def __post_init__(self) -> None:
        check_writable(self.json)
        if self.seeds < 1:
            raise UserError(f"--seeds is {self.seeds}; give 1 or more")
        if self.budget is not None and not 0 < self.budget < float("inf"):
            raise UserError(f"--budget is {self.budget}; give minutes above 0")


def run(arguments: list[str]) -> int:
    """`unpaired reproduce TABLE... [OPTIONS]`."""
    from unpaired.reproduction import TABLES, reproduce
    from unpaired.reproduction.configs import PRESET, check_tables, contenders_of
    from unpaired.training.interruption import Interrupted

    tables = []
    while arguments and not arguments[0].startswith("-"):
        tables.append(arguments.pop(0))
    if not tables and not {"-h", "--help"} & set(arguments):
        raise UserError(f"name a table of the paper: {', '.join(TABLES)}")
    check_tables(tables)
    asked = peek(arguments, "--methods")
    keys = contenders_of(
        tables or ["2"], None if asked is None else [key.strip() for key in asked.split(",")]
    )
    presets = take_all(arguments, "--preset") or ([] if _own_data(arguments) else [PRESET])
    parsed = {key: _options(key, list(arguments), presets) for key in keys}
    options = next(iter(parsed.values()))
    try:
        result = reproduce(
            tables,
            {key: own.run for key, own in parsed.items()},
            Path(options.out),
            methods=asked is not None,
            seeds=options.seeds,
            measure=options.measuring.instruments,
        )
    except Interrupted as stop:
        print(f"{stop}; the same command goes on from here", file=sys.stderr)
        return stop.exit_code
    print(result.text)
    print(result.page)
    if options.json:
        write_whole(Path(options.json), json_text(result.numbers))
    return 1 if result.numbers["failed"] else 0


def _options(key: str, arguments: list[str], presets: list[str]) -> ReproduceOptions[Any]:
    """The options as one contender sees them: its own defaults, the same changes for all."""
    from unpaired.reproduction.configs import STEPS, config_of
    from unpaired.training.config import TrainConfig, with_changes

    config = config_of(key, presets, own_data=_own_data(arguments), steps=None)
    if (budget := take(arguments, "--budget")) is not None:
        arguments += ["--minutes", budget]
    elif not any(argument.split("=")[0] in LENGTHS for argument in arguments):
        config = with_changes(config, {"steps": STEPS})
    return parse(
        ReproduceOptions[TrainConfig[type(config.settings)]],  # type: ignore[arg-type,misc]
        arguments,
        "unpaired reproduce",
        default=ReproduceOptions(run=config),
    )


def _own_data(arguments: list[str]) -> bool:
    """Whether other data than the embedded tiles are meant."""
    return bool({"--data", "--x"} & {argument.split("=")[0] for argument in arguments})
