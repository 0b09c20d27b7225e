"""`unpaired train`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import tyro

from unpaired import launch
from unpaired.cli.outputs import check_writable, free_folder
from unpaired.errors import UserError
from unpaired.evaluation.valid_json import json_text
from unpaired.options import nearest, parse, peek, take, take_all
from unpaired.whole import write_whole

C = TypeVar("C")

LENGTHS = ("--steps", "--epochs", "--minutes")


@dataclass(frozen=True)
class TrainOptions(Generic[C]):
    """Train a method on two collections of pictures; only pix2pix needs them in pairs.

    Values come from the method's defaults (or --config), then --preset, then the options. Shown as
    defaults are the values that this very command would use.
    """

    run: Annotated[C, tyro.conf.arg(name="")]
    preset: str | None = None
    """Named settings, given once or more; `unpaired train --help` lists them."""
    config: str | None = None
    """Start from a saved config.yaml."""
    out: str | None = None
    """The run folder; default: the first free runs/METHOD-N."""
    resume: bool = False
    """Continue the run in --out, bit for bit; a length given is the new total."""
    json: str | None = None
    """Write the run's last numbers to this file."""

    def __post_init__(self) -> None:
        check_writable(self.json)


def run(arguments: list[str]) -> int:
    """`unpaired train METHOD [OPTIONS]`, `--config FILE`, or `--out RUN --resume`."""
    from unpaired.evaluation.validation import train as train_run
    from unpaired.methods import METHODS
    from unpaired.methods.imported import NOT_TRAINED
    from unpaired.training.config import TrainConfig, read_yaml, with_changes
    from unpaired.training.folder import has_checkpoints
    from unpaired.training.interruption import Interrupted
    from unpaired.training.loop import DivergedError
    from unpaired.training.presets import PRESETS, apply_preset, preset_hint
    from unpaired.training.ranks import LostRankError
    from unpaired.training.tracking import read_metrics

    if not arguments or (arguments[0].startswith("-") and {"-h", "--help"} & set(arguments)):
        methods = "\n".join(f"  {name:<19} {method.title}" for name, method in METHODS.items())
        named = "\n".join(f"  {name:<22} {preset.about}" for name, preset in PRESETS.items())
        print(
            f"usage: unpaired train METHOD [OPTIONS]\n\nmethods:\n{methods}\n\n"
            f"`unpaired train METHOD --help` lists its options.\n\n"
            f"unpaired train --config FILE.yaml --out NEW   run a saved configuration again\n"
            f"unpaired train --out RUN --resume             continue a run\n\n"
            f"presets (they add up: --preset small --preset gan-alone):\n{named}"
        )
        return 0
    method = None if arguments[0].startswith("-") else arguments.pop(0)
    if method is None and (late := next((a for a in arguments if a in METHODS), None)):
        raise UserError(f"the method comes first; write: unpaired train {late} [OPTIONS]")
    if method is not None and method not in METHODS:
        raise UserError(
            f'unknown method "{method}"{nearest(method, METHODS)}; known are {", ".join(METHODS)}'
        )
    presets = take_all(arguments, "--preset")
    file = take(arguments, "--config")
    out, resume = peek(arguments, "--out"), "--resume" in arguments
    saved = Path(out) / "config.yaml" if out else None
    if resume and saved is None:
        raise UserError("--resume needs the run folder; give --out RUN")
    if file is not None:
        default = read_yaml(Path(file))
    elif resume and saved is not None and saved.is_file():
        default = read_yaml(saved)
    elif method is not None:
        default = TrainConfig(settings=METHODS[method].Config(), method=method)
    elif resume and saved is not None:
        has_checkpoints(saved.parent)  # says so if it is only config.yaml that is missing
        raise UserError(f'nothing to resume in "{out}"; check --out, or name a method to start one')
    else:
        raise UserError(
            f"name a method ({', '.join(METHODS)}), --config FILE, or --out RUN --resume"
        )
    if default.method not in METHODS:
        raise UserError(NOT_TRAINED)
    if method is not None and method != default.method:
        raise UserError(
            f"the configuration is for {default.method}, not {method}; drop one of them"
        )
    if not (resume and "+".join(presets) == default.preset):
        for preset in presets:
            default = apply_preset(default, preset)
    if any(argument.split("=")[0] in LENGTHS for argument in arguments):
        default = with_changes(default, {"steps": None, "epochs": None, "minutes": None})
    options: TrainOptions[TrainConfig[Any]] = parse(
        TrainOptions[TrainConfig[METHODS[default.method].Config]],  # type: ignore[arg-type,misc]
        arguments,
        f"unpaired train {default.method}",
        default=TrainOptions(run=default),
    )
    if launch.processes() > 1 and not options.out:
        raise UserError("processes that train together need the run folder by name; give --out RUN")
    if launch.is_main() and not resume and (hint := preset_hint(options.run)):
        print(hint, file=sys.stderr)
    folder = Path(options.out) if options.out else free_folder(Path("runs"), default.method)
    try:
        run_folder = train_run(options.run, folder, resume=resume)
    except Interrupted as stop:
        if launch.is_main():
            print(stop, file=sys.stderr)
        return stop.exit_code
    except DivergedError as error:
        if launch.is_main():
            print(f"unpaired: {error}", file=sys.stderr)
        return 1
    except LostRankError as error:
        print(f"unpaired: {error}", file=sys.stderr)
        return 1
    if not launch.is_main():
        return 0
    numbers = {k: v for line in read_metrics(run_folder) for k, v in line.items()}  # last of each
    if options.json:
        write_whole(Path(options.json), json_text({"run": str(run_folder), **numbers}))
    print(f"{run_folder}\nnext: unpaired translate {run_folder} PICTURES --out DIR")
    return 0
