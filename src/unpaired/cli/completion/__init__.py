"""`unpaired completion`: what Tab does in bash, zsh and fish.

The scripts that it prints know nothing of the verbs: at every Tab they call `unpaired __complete`,
which answers from the verbs' own dataclasses. So they need not be made anew after an update.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Annotated, Literal, get_args

import tyro
from tyro.conf import Positional

from unpaired.options import parse

Shell = Literal["bash", "zsh", "fish"]
SHELLS: tuple[Shell, ...] = get_args(Shell)


@dataclass(frozen=True)
class CompletionOptions:
    """Print the script that lets a shell complete verbs, options, their values, and files."""

    shell: Annotated[Positional[Shell], tyro.conf.arg(metavar="bash|zsh|fish")]
    """In ~/.bashrc or ~/.zshrc: eval "$(unpaired completion bash)"; of fish, write it to
    ~/.config/fish/completions/unpaired.fish."""


def run(arguments: list[str]) -> int:
    """`unpaired completion bash|zsh|fish`."""
    options = parse(CompletionOptions, arguments, "unpaired completion")
    print(script(options.shell), end="")
    return 0


def script(shell: Shell) -> str:
    """What the shell is to read."""
    file = resources.files("unpaired.cli.completion") / f"unpaired.{shell}"
    return file.read_text(encoding="utf-8")
