"""`unpaired study create|serve|results|simulate|power`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from unpaired.cli.outputs import check_writable
from unpaired.errors import UserError
from unpaired.options import nearest, parse
from unpaired.whole import write_whole

ABOUT = """usage: unpaired study create|serve|results|simulate|power [OPTIONS]

Can people tell generated pictures from real ones?

  create      pictures and a design become a study's folder
  serve       show it to people in their browsers
  results     fool rates with intervals, and a report
  simulate    let made-up people take part, to test and to plan
  power       how many people it takes to tell two algorithms apart

`unpaired study VERB --help` lists a verb's options.
"""


@dataclass(frozen=True)
class CreateOptions:
    """Make a study's folder from evaluated runs, or from folders of generated and real pictures."""

    sources: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN|NAME=FOLDER")]
    """Evaluated runs (their translations are taken), or folders of generated pictures."""
    out: Annotated[str, tyro.conf.arg(metavar="DIR")]
    """The study's folder."""
    preset: str = "cyclegan2017"
    """cyclegan2017, pix2pix2016, untimed, or versus (two algorithms against each other)."""
    real: Annotated[str | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Real pictures of what is generated; default: the runs' own test pictures."""
    direction: Literal["x2y", "y2x", "both"] = "x2y"
    """Which translations of a run."""
    size: int | None = None
    """Side in pixels at which all pictures are shown; default: the real ones' shorter side."""
    people: int | None = None
    """Wanted per algorithm; default: the preset's."""
    practice: int | None = None
    """Trials with feedback; default: the preset's."""
    scored: int | None = None
    """Trials that count; default: the preset's."""
    seed: int = 0
    """Of orders and sides."""


@dataclass(frozen=True)
class ServeOptions:
    """Show a study to people: prints its address, and that of the page that shows its progress."""

    folder: Annotated[Positional[str], tyro.conf.arg(metavar="STUDY")]
    """The study's folder."""
    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 for all."""
    port: int = 8000
    """Port to listen at."""


@dataclass(frozen=True)
class ResultsOptions:
    """Fool rates with intervals; writes report.html, results.json and answers.csv into the study's
    folder."""

    folder: Annotated[Positional[str], tyro.conf.arg(metavar="STUDY")]
    """The study's folder."""
    json: str | None = None
    """Write the numbers to this file too."""


@dataclass(frozen=True)
class SimulateOptions:
    """Let made-up people take part in a study that is being served."""

    folder: Annotated[Positional[str], tyro.conf.arg(metavar="STUDY")]
    """The study's folder, for what is real; who only has the address can't simulate."""
    address: str = "http://127.0.0.1:8000"
    """Where it is being served."""
    people: int = 10
    """How many."""
    at_once: int = 10
    """How many of them at the same time."""
    rate: float = 0.25
    """How often they take a generated picture for the real one."""
    spread: float = 0.5
    """Standard deviation of that between people, in logits."""
    lapses: float = 0.02
    """Share of trials answered blindly."""
    side_bias: float = 0.0
    """From -1 to 1: how much blind answers prefer the left."""
    think: float = 0.0
    """Seconds that each takes to answer."""
    seed: int = 0
    json: str | None = None
    """Write what happened to this file too."""


@dataclass(frozen=True)
class PowerOptions:
    """How likely a study is to tell two algorithms apart, and how many people it takes."""

    rate_a: float
    """Fool rate that you expect of one, from 0 to 1."""
    rate_b: float
    """Of the other."""
    people: int = 25
    """Per algorithm."""
    trials: int = 40
    """Scored, per person."""
    power: float = 0.8
    """Wanted chance of telling them apart."""
    spread: float = 0.5
    """Standard deviation of the rate between people, in logits."""
    seed: int = 0


def run(arguments: list[str]) -> int:
    """`unpaired study VERB ...`."""
    verb, *rest = arguments or ["--help"]
    if verb in ("-h", "--help"):
        print(ABOUT, end="")
        return 0
    if verb not in VERBS:
        raise UserError(
            f'no study verb "{verb}"{nearest(verb, VERBS)}; give one of {", ".join(VERBS)}'
        )
    return VERBS[verb](rest)


def create(arguments: list[str]) -> int:
    """`unpaired study create`."""
    options = parse(CreateOptions, arguments, "unpaired study create")
    from unpaired.study.create import check_free, create_study
    from unpaired.study.design import PRESETS
    from unpaired.study.sources import open_sides

    if options.preset not in PRESETS:
        raise UserError(
            f'no preset "{options.preset}"{nearest(options.preset, PRESETS)}; give one of '
            f"{', '.join(PRESETS)}"
        )
    if options.size is not None and not 16 <= options.size <= 1024:
        raise UserError(f"--size is {options.size}; give 16 to 1024 pixels")
    changed = {
        name: value
        for name in ("people", "practice", "scored")
        if (value := getattr(options, name)) is not None
    }
    design = replace(PRESETS[options.preset], seed=options.seed, **changed)
    check_free(Path(options.out))
    sides = open_sides(
        options.sources,
        Path(options.real) if options.real is not None else None,
        ("x2y", "y2x") if options.direction == "both" else (options.direction,),
        needs_real=design.question != "better",
    )
    about = {"sources": list(options.sources), "real": options.real, "way": options.direction}
    store = create_study(Path(options.out), sides, design, size=options.size, about=about)
    kinds = [picture.kind for picture in store.pictures]
    print(
        f"{kinds.count('real')} real, {kinds.count('fake')} generated pictures, "
        f"{kinds.count('obvious')} obvious fakes -> {options.out}"
    )
    print(f"change what you like in {options.out}/study.yaml; it is frozen with the first answer")
    print(f"then: unpaired study serve {options.out}")
    return 0


def serve(arguments: list[str]) -> int:
    """`unpaired study serve`."""
    options = parse(ServeOptions, arguments, "unpaired study serve")
    try:
        import uvicorn

        from unpaired.study.server import make_app
    except ModuleNotFoundError as error:
        raise UserError(
            f"the study needs {error.name}; run: pip install 'unpaired[study]'"
        ) from None
    from unpaired.study.listening import announce
    from unpaired.web.listening import listening_socket

    app = make_app(Path(options.folder))
    socket = listening_socket(options.host, options.port)
    announce(app.state.store, options.host, options.port)
    # httptools, where it is there, takes headers without end
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, http="h11"
    )
    uvicorn.Server(config).run(sockets=[socket])
    return 0


def results(arguments: list[str]) -> int:
    """`unpaired study results`."""
    options = parse(ResultsOptions, arguments, "unpaired study results")
    check_writable(options.json)
    from unpaired.study.report import write_results

    text, page, numbers = write_results(Path(options.folder))
    print(text)
    print(page)
    if options.json:
        from unpaired.evaluation.valid_json import json_text

        write_whole(Path(options.json), json_text(numbers))
    return 0


def simulate(arguments: list[str]) -> int:
    """`unpaired study simulate`."""
    options = parse(SimulateOptions, arguments, "unpaired study simulate")
    check_writable(options.json)
    try:
        from unpaired.study.simulation import People, simulate, truth_from
    except ModuleNotFoundError as error:
        raise UserError(
            f"the study needs {error.name}; run: pip install 'unpaired[study]'"
        ) from None
    people = People(options.rate, options.spread, options.lapses, options.side_bias, options.think)
    happened = simulate(
        options.address,
        options.people,
        people,
        at_once=options.at_once,
        seed=options.seed,
        truth=truth_from(Path(options.folder)),
    )
    print(happened.text)
    if options.json:
        from unpaired.evaluation.valid_json import json_text

        write_whole(Path(options.json), json_text(happened.numbers))
    return 1 if happened.numbers["failed"] else 0


def power(arguments: list[str]) -> int:
    """`unpaired study power`."""
    options = parse(PowerOptions, arguments, "unpaired study power")
    from unpaired.study import power as planning

    for name in ("rate_a", "rate_b", "power"):
        if not 0 < getattr(options, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} must lie between 0 and 1")
    for name, least, most in (("people", 2, 10_000), ("trials", 1, 10_000), ("spread", 0, 10)):
        if not least <= getattr(options, name) <= most:
            raise UserError(f"--{name} is {getattr(options, name)}; give {least} to {most}")
    rates = options.rate_a, options.rate_b
    found = planning.power(
        *rates, options.people, options.trials, spread=options.spread, seed=options.seed
    )
    print(
        f"{options.people} people with {options.trials} trials each tell "
        f"{100 * options.rate_a:g}% from {100 * options.rate_b:g}% with a chance of {found:.0%}"
    )
    needed = planning.people_needed(
        *rates, options.trials, options.power, spread=options.spread, seed=options.seed
    )
    print(
        f"a chance of {options.power:.0%} takes {needed} people per algorithm"
        if needed
        else f"{planning.MOST} people per algorithm don't give a chance of {options.power:.0%}"
    )
    return 0


VERBS = {
    "create": create,
    "serve": serve,
    "results": results,
    "simulate": simulate,
    "power": power,
}
