"""Pickles that run no code, and yet would take all memory or time: told by a look at their words.

`torch.load(weights_only=True)` decides what a pickle may call. Two things get past it: a few bytes
that ask for gigabytes (`bytearray(10**10)`, or an encoding of an encoding of ...), and tuples of
tuples, each twice the one before, whose hash as a dictionary's key takes years. No file of weights
has either.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

GREEDY = {"bytearray", "encode"}
"""What makes more of its arguments than they are."""
MOST_WORDS = 10_000_000
MOST_PARTS = 10_000
"""Of a tuple, those of its parts counted; a tensor's size, strides and so on are some ten."""
LEGACY = 5
"""Pickles at the start of a file of `torch.save` of before 2020."""


class DamagedPickle(ValueError):  # noqa: N818 - the file is at fault
    """It ends early, or is none."""


class HostilePickle(ValueError):  # noqa: N818 - the file is at fault
    """What no file of weights has. The message says what."""


def check_zipped(archive: zipfile.ZipFile) -> None:
    """Look at the pickles of a file of `torch.save`.

    Raises: HostilePickle, DamagedPickle.
    """
    for entry in archive.infolist():
        if entry.filename.lower().endswith("data.pkl"):
            with archive.open(entry) as file:
                check(file)


def check_legacy(path: Path) -> None:
    """Look at the pickles of a file of before 2020.

    Raises: HostilePickle, DamagedPickle.
    """
    with path.open("rb") as file:
        for _ in range(LEGACY):
            check(file)


def check(file: IO[bytes]) -> None:
    """Read one pickle's words, up to its end. Raises: HostilePickle, DamagedPickle."""
    stack: list[int | None] = []  # how many parts each thing has; None: a mark
    memo: dict[int, int] = {}
    for number, (word, argument) in enumerate(_words(file)):
        if number > MOST_WORDS:
            raise HostilePickle(f"over {MOST_WORDS:,} words")
        if word.name == "GLOBAL" and str(argument).rsplit(" ", 1)[-1] in GREEDY:
            raise HostilePickle(f"it calls {str(argument).replace(' ', '.')}")
        _step(word, argument, stack, memo)


def _words(file: IO[bytes]) -> Iterator[tuple[Any, Any]]:
    try:
        for word, argument, _ in pickletools.genops(file):
            yield word, argument
    except ValueError as error:
        raise DamagedPickle(str(error)) from None


def _step(word: Any, argument: Any, stack: list[int | None], memo: dict[int, int]) -> None:
    """What one word does to the stack, of which only the sizes of tuples are kept."""
    name = word.name
    if "PUT" in name or name == "MEMOIZE":
        key = len(memo) if name == "MEMOIZE" else argument
        memo[key] = (stack[-1] or 1) if stack else 1
        return
    if name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(memo.get(argument, 1))
        return
    taken: list[int | None] = []
    if pickletools.markobject in word.stack_before:
        while stack and (top := stack.pop()) is not None:
            taken.append(top)
    below = len([one for one in word.stack_before if one.name not in ("mark", "stackslice")])
    for _ in range(min(below, len(stack))):
        taken.append(stack.pop())
    parts = 1
    if "TUPLE" in name:
        parts += sum(one or 1 for one in taken)
        if parts > MOST_PARTS:
            raise HostilePickle(f"a tuple of over {MOST_PARTS:,} parts")
    for made in word.stack_after:
        stack.append(None if made is pickletools.markobject else parts)
