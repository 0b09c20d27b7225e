"""`unpaired data list` and `unpaired data check`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from unpaired.cli.outputs import check_writable
from unpaired.errors import UserError
from unpaired.options import nearest, parse
from unpaired.whole import write_whole


@dataclass(frozen=True)
class CheckOptions:
    """Look a data set over before training: counts, sizes, channels, doubles, unreadable files."""

    data: Positional[str | None] = None
    """A folder with trainA and trainB, or with pictures side by side in train; or a named set."""
    x: str | None = None
    """Folder of domain X (with --y)."""
    y: str | None = None
    """Folder of domain Y."""
    json: str | None = None
    """Write the findings to this file."""

    def __post_init__(self) -> None:
        check_writable(self.json)


def run(arguments: list[str]) -> int:
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

    report = check_dataset(options.data, options.x, options.y)
    print(report.text())
    if options.json:
        write_whole(Path(options.json), json.dumps(report.as_dict(), indent=1))
    return 0
