"""The command line: each verb parses, calls, prints; what is heavy is imported when needed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import tyro
from tyro.conf import Positional

from unpaired.errors import UserError
from unpaired.options import nearest, parse, peek, take

C = TypeVar("C")

ABOUT = """usage: unpaired VERB [OPTIONS]

Image translation without paired examples.

  demo        train on embedded data for a few minutes and open a report on it
  train       train a method on two collections of pictures; resume a run
  translate   turn pictures into the other domain with a trained run
  evaluate    score a run on its test pictures: numbers, and report.html
  data        list the named data sets; check a data set before training
  doctor      this machine: versions, devices, precision, memory, optional parts

`unpaired VERB --help` lists a verb's options. `unpaired --version` prints the version.
"""

LENGTHS = ("--steps", "--epochs", "--minutes")


def main() -> None:
    """The entry point of the command `unpaired`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code.

    0 done; 1 something failed (see the message); 2 a mistake that the user can mend, in one line;
    130 and 143 interrupted by Ctrl-C and SIGTERM.
    """
    try:
        return _dispatch(list(arguments))
    except UserError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.strerror is None:
            raise
        where = f' "{error.filename}"' if error.filename else ""
        return _complain(
            f"{error.strerror.lower()}{where}; check the path, its rights and the disk"
        )
    except (MemoryError, RuntimeError) as error:  # torch says RuntimeError for both
        if not isinstance(error, MemoryError) and "memory" not in str(error).lower():
            raise
        return _complain(
            "not enough memory; give a smaller --batch, --size or --filters, or free some "
            "(`unpaired doctor` says how much there is)"
        )


def _complain(message: str) -> int:
    print("unpaired: error:", " ".join(message.split()), file=sys.stderr)
    return 2


def _dispatch(arguments: list[str]) -> int:
    verb, *rest = arguments or ["--help"]
    if verb in ("-h", "--help"):
        print(ABOUT, end="")
        return 0
    if verb == "--version":
        from unpaired import __version__

        print(f"unpaired {__version__}")
        return 0
    if verb not in VERBS:
        raise UserError(
            f'unknown {"option" if verb.startswith("-") else "verb"} "{verb}"'
            f"{nearest(verb, VERBS)}; `unpaired --help` lists the verbs"
        )
    return VERBS[verb](rest)


# -- train ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrainOptions(Generic[C]):
    """Train a method on two collections of pictures that have no pairs.

    Values come from the method's defaults (or --config), then --preset, then the options. Shown as
    defaults are the values that this very command would use.
    """

    run: Annotated[C, tyro.conf.arg(name="")]
    preset: str | None = None
    """Named settings; `unpaired train --help` lists them."""
    config: str | None = None
    """Start from a saved config.yaml."""
    out: str | None = None
    """The run folder; default: the first free runs/METHOD-N."""
    resume: bool = False
    """Continue the run in --out, bit for bit; a length given is the new total."""
    json: str | None = None
    """Write the run's last numbers to this file."""

    def __post_init__(self) -> None:
        _check_writable(self.json)


def train(arguments: list[str]) -> int:
    """`unpaired train METHOD [OPTIONS]`, `--config FILE`, or `--out RUN --resume`."""
    from unpaired.methods import METHODS
    from unpaired.training.config import TrainConfig, read_yaml, with_changes
    from unpaired.training.interruption import Interrupted
    from unpaired.training.presets import PRESETS, apply_preset
    from unpaired.training.run import DivergedError
    from unpaired.training.run import train as train_run
    from unpaired.training.tracking import read_metrics

    if not arguments or (arguments[0].startswith("-") and {"-h", "--help"} & set(arguments)):
        presets = "\n".join(f"  {name:<11} {preset.about}" for name, preset in PRESETS.items())
        print(
            f"usage: unpaired train METHOD [OPTIONS]\n\nmethods: {', '.join(METHODS)}\n"
            f"`unpaired train METHOD --help` lists its options.\n\n"
            f"unpaired train --config FILE.yaml --out NEW   run a saved configuration again\n"
            f"unpaired train --out RUN --resume             continue a run\n\npresets:\n{presets}"
        )
        return 0
    method = None if arguments[0].startswith("-") else arguments.pop(0)
    if method is None and (late := next((a for a in arguments if a in METHODS), None)):
        raise UserError(f"the method comes first; write: unpaired train {late} [OPTIONS]")
    if method is not None and method not in METHODS:
        raise UserError(
            f'unknown method "{method}"{nearest(method, METHODS)}; known are {", ".join(METHODS)}'
        )
    preset = take(arguments, "--preset")
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
    elif resume:
        raise UserError(f'nothing to resume in "{out}"; check --out, or name a method to start one')
    else:
        raise UserError(
            f"name a method ({', '.join(METHODS)}), --config FILE, or --out RUN --resume"
        )
    if method is not None and method != default.method:
        raise UserError(
            f"the configuration is for {default.method}, not {method}; drop one of them"
        )
    if preset is not None and not (resume and preset == default.preset):
        default = apply_preset(default, preset)
    if any(argument.split("=")[0] in LENGTHS for argument in arguments):
        default = with_changes(default, {"steps": None, "epochs": None, "minutes": None})
    options: TrainOptions[TrainConfig[Any]] = parse(
        TrainOptions[TrainConfig[METHODS[default.method].Config]],  # type: ignore[arg-type,misc]
        arguments,
        f"unpaired train {default.method}",
        default=TrainOptions(run=default),
    )
    folder = Path(options.out) if options.out else _free(Path("runs"), default.method)
    try:
        run_folder = train_run(options.run, folder, resume=resume, score=_score(options.run))
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return stop.exit_code
    except DivergedError as error:
        print(f"unpaired: {error}", file=sys.stderr)
        return 1
    numbers = (read_metrics(run_folder) or [{}])[-1]
    if options.json:
        Path(options.json).write_text(json.dumps({"run": str(run_folder), **numbers}), "utf-8")
    print(f"{run_folder}\nnext: unpaired translate {run_folder} PICTURES --out DIR")
    return 0


def _score(config: Any) -> Any:
    """The validation score, imported only when the run asks for it."""
    if not config.evaluate_every:
        return None
    from unpaired.evaluation.distances import validation_score

    return validation_score


def _free(parent: Path, name: str, bare: bool = False) -> Path:
    """The first folder that is not there: NAME-1, NAME-2, ...; `bare` calls the first NAME."""
    if bare and not (parent / name).exists():
        return parent / name
    number = 2 if bare else 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"


def _check_writable(file: str | None) -> None:
    """Refuse a `--json` that can't be written before the work, not after it."""
    if file is None:
        return
    path = Path(file)
    if path.is_dir() or not path.parent.is_dir():
        wrong = "a folder" if path.is_dir() else "in a folder that is not there"
        raise UserError(f'--json "{file}" is {wrong}; give a file in an existing folder')
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UserError(f'--json "{file}" may not be written; give another file')


# -- translate -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class TranslateOptions:
    """Turn pictures into the other domain. Output size = input size; inputs are never touched."""

    run: Annotated[Positional[str], tyro.conf.arg(metavar="RUN")]
    """Run folder or checkpoint folder."""
    inputs: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="PICTURES...")]
    """Pictures and folders; sub-folders are kept."""
    out: Annotated[str, tyro.conf.arg(metavar="DIR")]
    """Folder for the results."""
    direction: Literal["x2y", "y2x"] | None = None
    """Default: the run's first."""
    batch: int = 1
    """Pictures of equal size translated at once."""
    overwrite: bool = False
    """Do again what is already there."""
    checkpoint: str = "latest"
    """latest, best, or a step number."""
    format: Literal["png", "tif", "jpg", "webp", "bmp"] | None = None
    """Default: png, or tif where png can't hold the result."""
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    json: str | None = None
    """Write the summary to this file."""

    def __post_init__(self) -> None:
        if not self.inputs:
            raise UserError("no pictures to translate; name files or folders after the run")
        if self.batch < 1:
            raise UserError(f"--batch is {self.batch}; give 1 or more")
        _check_writable(self.json)


def translate(arguments: list[str]) -> int:
    """`unpaired translate RUN PICTURES... --out DIR`."""
    options = parse(TranslateOptions, arguments, "unpaired translate")
    from unpaired.translation.folder import translate_files
    from unpaired.translation.translator import Translator

    translator = Translator.load(
        options.run,
        checkpoint=options.checkpoint,
        device=options.device,
        precision=options.precision,
    )
    summary = translate_files(
        translator,
        [Path(p) for p in options.inputs],
        Path(options.out),
        direction=options.direction,
        batch=options.batch,
        overwrite=options.overwrite,
        format=options.format,
    )
    for path, reason in summary.failed:
        print(f"failed: {path}: {reason}", file=sys.stderr)
    print(
        f"{summary.translated} translated, {summary.skipped} skipped (already there), "
        f"{len(summary.failed)} failed -> {options.out}"
    )
    if options.json:
        failed = [{"path": str(path), "reason": reason} for path, reason in summary.failed]
        counts = {"translated": summary.translated, "skipped": summary.skipped, "failed": failed}
        Path(options.json).write_text(json.dumps(counts, indent=1), encoding="utf-8")
    return 1 if summary.failed else 0


# -- evaluate ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EvaluateOptions:
    """Score a run on its test pictures; writes report.html and numbers.json into the run."""

    run: Annotated[Positional[str], tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    checkpoint: str = "latest"
    """latest, best, or a step number."""
    json: str | None = None
    """Write the numbers to this file too."""

    def __post_init__(self) -> None:
        _check_writable(self.json)


def evaluate(arguments: list[str]) -> int:
    """`unpaired evaluate RUN`."""
    options = parse(EvaluateOptions, arguments, "unpaired evaluate")
    from unpaired.evaluation.report import ROWS, write_report

    page, scored = write_report(Path(options.run), checkpoint=options.checkpoint)
    for side in scored.sides:
        print(f"{side.direction}, {len(side.names)} pictures")
        print(f"  {'':<34}{scored.metric:>26}{'mean error (0-255)':>26}")
        for name, score in side.scores.items():
            kid, mae = (
                f"{e.value:.3f} ({e.low:.3f}-{e.high:.3f})" if e else "-"
                for e in (score.kid, score.mae)
            )
            print(f"  {ROWS[name]:<34}{kid:>26}{mae:>26}")
    print(page)
    if options.json:
        Path(options.json).write_text(json.dumps(scored.numbers(), indent=1), encoding="utf-8")
    return 0


# -- demo, data, doctor --------------------------------------------------------------------------


@dataclass(frozen=True)
class DemoOptions:
    """Train on the embedded worldtiles, translate the test split, write report.html."""

    minutes: float = 10.0
    """Minutes of training; translating and scoring come on top (about one)."""
    out: str | None = None
    """The run folder, new or empty; default: the first free of runs/demo, runs/demo-2, ..."""
    seed: int = 0


def demo(arguments: list[str]) -> int:
    """`unpaired demo`."""
    options = parse(DemoOptions, arguments, "unpaired demo")
    from unpaired.demo import demo as run_demo
    from unpaired.training.interruption import Interrupted
    from unpaired.training.run import DivergedError

    out = Path(options.out) if options.out else _free(Path("runs"), "demo", bare=True)
    try:
        report = run_demo(options.minutes, out, options.seed)
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return stop.exit_code
    except DivergedError as error:
        print(f"unpaired: {error}", file=sys.stderr)
        return 1
    print(f"open {report}")
    return 0


@dataclass(frozen=True)
class CheckOptions:
    """Look a data set over before training: counts, sizes, channels, doubles, unreadable files."""

    data: Positional[str | None] = None
    """A folder with trainA and trainB, or a named set."""
    x: str | None = None
    """Folder of domain X (with --y)."""
    y: str | None = None
    """Folder of domain Y."""
    json: str | None = None
    """Write the findings to this file."""

    def __post_init__(self) -> None:
        _check_writable(self.json)


def data(arguments: list[str]) -> int:
    """`unpaired data list` and `unpaired data check`."""
    verbs = ("list", "check")
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: unpaired data list\n       unpaired data check FOLDER|SET | --x DIR --y DIR")
        return 0
    verb, *rest = arguments
    if verb == "list":
        if rest:
            raise UserError(f'unexpected argument "{rest[0]}"; `unpaired data list` takes none')
        from unpaired.data.catalog import describe

        print(describe())
        return 0
    if verb != "check":
        raise UserError(f'unknown verb "data {verb}"{nearest(verb, verbs)}; give list or check')
    options = parse(CheckOptions, rest, "unpaired data check")
    from unpaired.data.check import check_dataset

    report = check_dataset(
        options.data, Path(options.x) if options.x else None, Path(options.y) if options.y else None
    )
    print(report.text())
    if options.json:
        Path(options.json).write_text(json.dumps(report.as_dict(), indent=1), encoding="utf-8")
    return 0


@dataclass(frozen=True)
class DoctorOptions:
    """Say what this machine has and what `unpaired` would choose on it."""

    json: str | None = None
    """Write the findings to this file."""

    def __post_init__(self) -> None:
        _check_writable(self.json)


def doctor(arguments: list[str]) -> int:
    """`unpaired doctor`."""
    options = parse(DoctorOptions, arguments, "unpaired doctor")
    from unpaired.doctor import examine

    findings = examine()
    for topic, facts in findings.items():
        print(topic)
        for name, value in facts.items():
            print(f"  {name:<24} {value}")
    if options.json:
        Path(options.json).write_text(json.dumps(findings, indent=1), encoding="utf-8")
    return 0


VERBS: dict[str, Callable[[list[str]], int]] = {
    "demo": demo,
    "train": train,
    "translate": translate,
    "evaluate": evaluate,
    "data": data,
    "doctor": doctor,
}
