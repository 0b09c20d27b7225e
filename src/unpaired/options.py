"""Arguments become options; whatever is wrong with them becomes one line."""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from unpaired.errors import UserError

T = TypeVar("T")

NOT_A_NUMBER = {
    r"(--\S+): invalid literal for int\(\) with base 10: '(.+)'": "a whole number",
    r"(--\S+): could not convert string to float: '(.+)'": "a number",
    r"(--\S+): no type matching \{None\}\|INT .+ from \['(.+)'\]": "a whole number",
    r"(--\S+): no type matching \{None\}\|FLOAT .+ from \['(.+)'\]": "a number",
    r"(--\S+): no type matching \{None\}\|\{FLOAT FLOAT\} .+ from \['(.+)'\]": "two numbers",
}
"""What tyro says of a value that is no number, and what was wanted."""

REFERENCE = {
    "--dataroot": "--data",
    "--name": "--out",
    "--checkpoints-dir": "--out",
    "--suffix": "--out",
    "--results-dir": "--out",
    "--gpu-ids": "--device",
    "--input-nc": "--channels-x",
    "--output-nc": "--channels-y",
    "--ngf": "--filters",
    "--ndf": "--discriminator.filters",
    "--netG": "--blocks, or --generator.kind",
    "--netD": "--discriminator.kind",
    "--n-layers-D": "--discriminator.layers",
    "--norm": "--generator.norm",
    "--init-type": "--generator.init",
    "--init-gain": "--generator.init-gain",
    "--no-dropout": "--generator.no-dropout",
    "--direction": "--swap",
    "--num-threads": "--workers",
    "--batch-size": "--batch",
    "--load-size": "--images.load",
    "--crop-size": "--size",
    "--preprocess": "--images.mode",
    "--no-flip": "--images.no-flip",
    "--n-epochs": "--epochs, which counts all of them",
    "--niter": "--epochs, which counts all of them",
    "--n-epochs-decay": "--schedule.constant, the share of the run before it",
    "--niter-decay": "--schedule.constant, the share of the run before it",
    "--lr": "--optimizer.lr",
    "--beta1": "--optimizer.beta1",
    "--lr-policy": "--schedule.kind",
    "--lr-decay-iters": "--schedule.every, a share of the run",
    "--gan-mode": "--loss.adversarial",
    "--lambda-A": "--loss.cycle-x",
    "--lambda-B": "--loss.cycle-y",
    "--lambda-identity": "--loss.identity, times the weight of the cycle",
    "--lambda-L1": "--loss.l1",
    "--pool-size": "--history",
    "--save-latest-freq": "--checkpoint-every, in steps",
    "--save-epoch-freq": "--checkpoint-every, in steps",
    "--print-freq": "--log-every, in steps",
    "--display-freq": "--sample-every, in steps",
    "--update-html-freq": "--sample-every, in steps",
    "--use-wandb": "--tracker wandb",
    "--continue-train": "--resume",
    "--epoch-count": "--resume",
    "--epoch": "--checkpoint, which counts steps",
    "--load-iter": "--checkpoint, which counts steps",
    "--num-test": "--limit",
    "--how-many": "--limit",
    "--ntest": "--limit",
    "--loadSize": "--images.load",
    "--fineSize": "--size",
    "--batchSize": "--batch",
    "--nThreads": "--workers",
    "--resize-or-crop": "--images.mode",
    "--which-model-netG": "--blocks, or --generator.kind",
    "--which-model-netD": "--discriminator.kind",
    "--which-direction": "--swap",
    "--which-epoch": "--checkpoint, which counts steps",
    "--identity": "--loss.identity, times the weight of the cycle",
}
"""Options of the authors' PyTorch code, and what they are here; docs/from-reference.md has all."""


def nearest(word: str, known: Any) -> str:
    """A hint at the known name that `word` was meant to be; empty if none is near."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else ""


def nearest_option(word: str, known: Sequence[str]) -> str:
    """A hint at the option that `word` was meant to be, where it is a longer word for one, a
    shorter one, or the reference code's; else empty.
    """
    word = word.replace("_", "-")
    if (theirs := REFERENCE.get(word)) and re.split("[, ]", theirs)[0] in known:
        return f" (the reference code's; here it is {theirs})"
    whole = [option for option in known if word.startswith((f"{option}-", f"{option}."))]
    begun = [option for option in known if option.startswith(word)]
    if whole or begun:
        return f" (did you mean {max(whole, key=len) if whole else begun[0]}?)"
    return ""


def parse(kind: Callable[..., T], arguments: list[str], prog: str, **options: Any) -> T:
    """Parse with tyro; whatever it has to say about a mistake becomes one line."""
    import tyro  # a fifth of a second that `unpaired --help` and Tab can do without

    if {"-h", "--help"} & set(arguments):
        with contextlib.redirect_stdout(sys.stdout or io.StringIO()):  # None: closed by `>&-`
            return tyro.cli(kind, args=arguments, prog=prog, **options)
    said, columns = io.StringIO(), os.environ.get("COLUMNS")
    try:
        os.environ["COLUMNS"] = "1000"  # or tyro would break its lines where we would read them
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            return tyro.cli(kind, args=arguments, prog=prog, **options)
    except SystemExit:
        names = partial(_known, kind, **options)
        raise UserError(_one_line(said.getvalue(), prog, names)) from None
    finally:
        os.environ.pop("COLUMNS")
        if columns is not None:
            os.environ["COLUMNS"] = columns


def _known(kind: Callable[..., Any], **options: Any) -> list[str]:
    """Every option that tyro's help on `kind` names."""
    import tyro

    page = io.StringIO()
    os.environ["COLUMNS"] = "80"  # or there would be several columns; `parse` sets it back
    with contextlib.redirect_stdout(page), contextlib.suppress(SystemExit):
        tyro.cli(kind, args=["--help"], **options)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", page.getvalue())
    return re.findall(r"(?m)(?:^[│| ]*|, )(--[a-z][\w.-]*)", plain)  # one, or --yes, --no-yes


def _one_line(box: str, prog: str, names: Callable[[], list[str]]) -> str:
    """The gist of tyro's multi-line complaint: what is wrong, and the nearest option."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box)
    lines = [line.strip("│|╭╮╰╯─+ ") for line in plain.splitlines()]
    text = [line for line in lines[1:] if line.strip("-─")]  # without the title and rules
    first = text[0] if text else "wrong options"
    if first.startswith("Missing from"):
        missing = [line for line in text[1:] if re.match(r"(--[a-z][\w.-]* |[A-Z]+( |$|\[))", line)]
        return f"missing {', '.join(missing)}; see {prog} --help"
    if unknown := re.search(r"Unrecognized options?: (\S+?)(,|$| )", first):
        option = unknown.group(1)
        if not option.startswith("-"):
            return f'unexpected argument "{option}"; see {prog} --help'
        meant = next(
            (line.split()[0].rstrip(",") for line in text[1:] if line.startswith("--")), None
        )
        hint = nearest_option(option, names()) or (f" (did you mean {meant}?)" if meant else "")
        return f"unknown option {option}{hint}; see {prog} --help"
    first = first.rstrip(".").replace("Error parsing ", "")
    for pattern, wanted in NOT_A_NUMBER.items():
        if number := re.search(pattern, first):
            value = number.group(2).replace("', '", " ")
            return f"{number.group(1)} is {value}; give {wanted}"
    if choice := re.search(r"choice (.+) for argument '(.+?)'. Expected one of \((.+?),?\)", first):
        value, option, known = choice.groups()
        return f"{option} is {value}; give one of {known}".replace("'", "").replace("None, ", "")
    if lone := re.search(r"issing value for argument '(\S+?)'", first):
        return f"{lone.group(1)} needs a value; see {prog} --help"
    return f"{first[0].lower()}{first[1:]}; see {prog} --help"


def take(arguments: list[str], option: str) -> str | None:
    """Remove `--option VALUE` or `--option=VALUE` and return the value."""
    value = peek(arguments, option)
    for place, argument in enumerate(arguments):
        if argument == option:
            del arguments[place : place + 2]
            break
        if argument.startswith(f"{option}="):
            del arguments[place]
            break
    return value


def take_all(arguments: list[str], option: str) -> list[str]:
    """Remove every `--option VALUE` and return the values in order."""
    values = []
    while (value := take(arguments, option)) is not None:
        values.append(value)
    return values


def peek(arguments: list[str], option: str) -> str | None:
    """The value of `--option VALUE` or `--option=VALUE`; None if it isn't there."""
    for place, argument in enumerate(arguments):
        if argument.startswith(f"{option}="):
            return argument.split("=", 1)[1]
        if argument == option:
            if place + 1 == len(arguments):
                raise UserError(f"{option} needs a value; see unpaired train --help")
            return arguments[place + 1]
    return None
