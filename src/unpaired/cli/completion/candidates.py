"""What may stand where the cursor is: `unpaired __complete SHELL ...`, which the scripts call."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any

from unpaired.cli.completion import training
from unpaired.cli.completion.words import Option, options_of

FILES = ":files"
"""The line that tells the scripts to offer files too."""
EVERYWHERE = {
    "--help": "what it does, and its options",
    "--verbose": "tell more",
    "--quiet": "tell only results and errors",
}
DEVICES = {"auto": "the first accelerator there is", "cpu": "", "cuda": "", "mps": ""}
TRAINING = ("train", "reproduce")
"""Verbs whose options stand in training.json."""


@dataclass
class Candidates:
    """Words, and what each is; and whether files will do too."""

    words: dict[str, str] = field(default_factory=dict)
    files: bool = False

    def starting(self, start: str, before: str = "") -> Candidates:
        """Those that start so; `before` is put before each."""
        fitting = {before + w: about for w, about in self.words.items() if w.startswith(start)}
        return Candidates(fitting, self.files)


def answer(arguments: list[str], verbs: dict[str, str], abouts: dict[str, str]) -> str:
    """The lines for a shell, in the form that its script reads.

    Args: arguments: of bash its word breaks and the line up to the cursor, as bash splits words at
        `=` and `:`; of the others the words up to the cursor, without the command.
    """
    shell, *words = arguments or [""]
    breaks = ""
    if shell == "bash":
        if len(words) != 2:  # a person's doing, not the script's
            return ""
        breaks, line = words
        words = split(line)[1:]
    *before, current = words or [""]
    found = complete(before, current, verbs, abouts)
    if shell == "bash":  # it replaces only what follows the last of its breaks
        cut = max((current.rfind(mark) + 1 for mark in "=:" if mark in breaks), default=0)
        lines = [word[cut:] for word in found.words]
    elif shell == "zsh":  # its script takes `--option=` away
        at = len(current.split("=", 1)[0]) + 1 if re.match("--[^=]*=", current) else 0
        pairs = [(word[at:].replace(":", r"\:"), about) for word, about in found.words.items()]
        lines = [f"{word}:{about}" if about else word for word, about in pairs]
    else:
        lines = [f"{word}\t{about}" if about else word for word, about in found.words.items()]
    return "".join(f"{line}\n" for line in [*lines, *([FILES] if found.files else [])])


def split(line: str) -> list[str]:
    """A line of a shell as words; the last is the one that is being typed, and may be empty."""
    for closing in ("", "'", '"'):
        lexer = shlex.shlex(line + "\0" + closing, posix=True)  # \0: where the cursor is
        lexer.whitespace_split, lexer.commenters = True, ""
        try:
            return [word.replace("\0", "") for word in lexer]
        except ValueError:  # a quotation that is still open
            continue
    return [""]


def complete(
    before: list[str], current: str, verbs: dict[str, str], abouts: dict[str, str]
) -> Candidates:
    """What may stand after the words `before`, starting with `current`."""
    while before and before[0] in ("-v", "-q", "--verbose", "--quiet"):
        before = before[1:]
    if not before or before[0] == "help":
        named = {verb: abouts.get(verb, "") for verb in verbs}
        if current.startswith("-") and not before:
            named = {**EVERYWHERE, "--version": "its version"}
        return Candidates(named).starting(current)
    verb, *rest = before
    if verb not in verbs:
        return Candidates()
    if verb in TRAINING:
        method = next((word for word in rest[:1] if word in training.names("methods")), None)
        options = training_options_of(verb, method)
        return among(options, verb, rest, current)
    module = import_module(verbs[verb])
    below = subverbs(module)
    if below and not rest:
        return Candidates(dict.fromkeys(below, "")).starting(current)
    name = rest.pop(0) if below else verb
    kind = options_class(module, name)
    return among(
        options_of(kind) if kind else [], f"{verb} {name}" if below else verb, rest, current
    )


def training_options_of(verb: str, method: str | None) -> list[Option]:
    """With the positional that comes first, and the presets."""
    kind = "methods" if verb == "train" else "tables"
    first = [] if method else [Option("method", "text", tuple(training.names(kind)))]
    return [*first, *training.training_options(verb, method)]


def subverbs(module: ModuleType) -> list[str]:
    """Of `unpaired study` and its kind, which name them in VERBS."""
    return list(getattr(module, "VERBS", ()))


def options_class(module: ModuleType, name: str) -> Any:
    """What a verb parses into: `TranslateOptions` of `translate`; None if it takes no options."""
    return getattr(module, f"{name.title().replace('-', '')}Options", None)


def among(options: list[Option], verb: str, rest: list[str], current: str) -> Candidates:
    """Options, their values, positionals: whatever may stand here."""
    by_name = {option.name: option for option in options if not option.positional}
    if given := re.match(r"(--[^=]+)=(.*)", current, re.S):
        option = by_name.get(given[1])
        return values(option, verb).starting(given[2], f"{given[1]}=") if option else Candidates()
    last = by_name.get(rest[-1]) if rest else None
    if last is not None and last.takes != "nothing":
        return values(last, verb).starting(current)
    free = {n: o.about for n, o in by_name.items() if n == "--preset" or n not in rest}
    wanted = {
        n: about for n, about in free.items() if current.startswith("--no-") or not negates(n)
    }
    named = Candidates({**wanted, **EVERYWHERE})
    if current.startswith("-"):
        return named.starting(current)
    found = Candidates()
    for option in options:
        if option.positional:
            own = values(option, verb)
            found = Candidates({**found.words, **own.words}, found.files or own.files)
    return found.starting(current) if found.words or found.files else named.starting(current)


def negates(name: str) -> bool:
    """Whether it is the `--no-overwrite` of `--overwrite`."""
    return re.search(r"(--|\.)no-", name) is not None


def values(option: Option, verb: str) -> Candidates:
    """What an option takes, or what a positional can be."""
    if option.choices:
        abouts = training.names("methods") if option.name == "method" else {}
        return Candidates({word: abouts.get(word, "") for word in option.choices})
    name = option.name.lstrip("-")
    if verb == "data get" and option.positional:
        from unpaired.data.paper_sets import PAPER_SETS

        return Candidates({name: one.about for name, one in PAPER_SETS.items()})
    if name == "data":
        from unpaired.data.catalog import names as worldtiles
        from unpaired.data.paper_sets import PAPER_SETS

        return Candidates(dict.fromkeys([*worldtiles(), *PAPER_SETS], ""), files=True)
    if name == "preset":
        if verb.startswith("study"):
            from unpaired.study.design import PRESETS

            return Candidates(dict.fromkeys(PRESETS, ""))
        return Candidates(training.names("presets"))
    known = {
        "method": training.names("methods"),
        "device": DEVICES,
        "checkpoint": {"latest": "", "best": "that a validation share chose"},
    }
    if name in known:
        return Candidates(known[name])
    return Candidates(files=option.takes == "text")
