"""What is told on standard error beside results and errors: as much as `-v` and `-q` ask for."""

from __future__ import annotations

import logging
import sys
from typing import Literal

Loudness = Literal["quiet", "usual", "verbose"]

_loudness: Loudness = "usual"


def choose(loudness: Loudness) -> None:
    """Decide for this process: quiet leaves only results and errors, verbose adds details."""
    global _loudness
    _loudness = loudness
    levels = {"quiet": logging.ERROR, "usual": logging.WARNING, "verbose": logging.DEBUG}
    logging.getLogger("unpaired").setLevel(levels[loudness])


def is_quiet() -> bool:
    """Whether progress and notes are unwanted."""
    return _loudness == "quiet"


def is_verbose() -> bool:
    """Whether details are wanted."""
    return _loudness == "verbose"


def note(text: str) -> None:
    """Progress, or what was chosen for the user: told unless `-q` is given."""
    if not is_quiet():
        print(harmless(text), file=sys.stderr, flush=True)


def detail(text: str) -> None:
    """What helps to understand what happens: told with `-v`."""
    if is_verbose():
        print(harmless(text), file=sys.stderr, flush=True)


def harmless(text: str) -> str:
    """Text that may quote a file of somebody else's, without what a terminal would obey."""
    return "".join(
        letter
        if letter.isprintable() or letter in "\n\t"
        else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in text
    )
