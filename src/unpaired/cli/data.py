"""`unpaired data list`, `unpaired data get` and `unpaired data check`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from unpaired.cli.outputs import check_writable
from unpaired.errors import UserError
from unpaired.options import nearest, parse, take
from unpaired.telling import note
from unpaired.whole import write_whole


@dataclass(frozen=True)
class CheckOptions:
    """Look a data set over before training: counts, sizes, channels, doubles, unreadable files."""

    data: Positional[str | None] = None
    """A folder with trainA and trainB, or with pictures side by side in train; or a named set. May
    be given as --data, as to `train`."""
    x: str | None = None
    """Folder of domain X (with --y)."""
    y: str | None = None
    """Folder of domain Y."""
    json: str | None = None
    """Write the findings to this file."""

    def __post_init__(self) -> None:
        check_writable(self.json)


@dataclass(frozen=True)
class GetOptions:
    """Fetch a data set of the CycleGAN paper, check it and unpack it; killed, it goes on next time.

    Then `--data NAME` finds it. An archive put by hand into the cache's data folder as NAME.zip is
    taken instead of a download.
    """

    name: Annotated[Positional[str], tyro.conf.arg(metavar="NAME")]
    """One of `unpaired data list`."""
    out: str | None = None
    """Unpack into this folder instead of the cache; it is then given as --data FOLDER."""
    source: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """An archive to take instead: a file, or the address of a copy. Of cityscapes: the folder with
    the archives from its site."""
    sha256: str | None = None
    """The archive's SHA-256, instead of the published one."""
    json: str | None = None
    """Write where it is and what it holds to this file."""

    def __post_init__(self) -> None:
        check_writable(self.json)
        if self.sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", self.sha256):
            raise UserError(f"--sha256 is {self.sha256}; give its 64 hex digits")


USAGE = """usage: unpaired data list
       unpaired data get NAME [--out DIR] [--from FILE|ADDRESS] [--sha256 DIGEST]
       unpaired data check FOLDER|SET | --x DIR --y DIR"""


def run(arguments: list[str]) -> int:
    """`unpaired data list`, `unpaired data get` and `unpaired data check`."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    verb, *rest = arguments
    if verb not in VERBS:
        raise UserError(
            f'unknown verb "data {verb}"{nearest(verb, VERBS)}; give {", ".join(VERBS)}'
        )
    VERBS[verb](rest)
    return 0


def _list(arguments: list[str]) -> None:
    if arguments:
        raise UserError(f'unexpected argument "{arguments[0]}"; `unpaired data list` takes none')
    from unpaired.data import catalog, getting

    print(f"{catalog.describe()}\n{getting.describe()}")


def _get(arguments: list[str]) -> None:
    options = parse(GetOptions, arguments, "unpaired data get")
    from unpaired.data.getting import get
    from unpaired.data.paper_sets import PAPER_SETS

    name = options.name
    if name not in PAPER_SETS:
        raise UserError(
            f'no data set "{name}"{nearest(name, PAPER_SETS)}; known are {", ".join(PAPER_SETS)}'
        )
    known = PAPER_SETS[name]
    out = None if options.out is None else Path(options.out)
    got = get(name, out=out, source=options.source, sha256=options.sha256)
    counts = ", ".join(f"{count:,} in {split}" for split, count in got.counts.items())
    print(f"{got.folder}\n{counts}\nlicence: {known.licence}")
    if digest := got.record.get("sha256"):
        verdict = "as published" if digest == known.sha256 else "none is published to compare with"
        if known.sha256 not in (None, digest):
            verdict = f"published is {known.sha256}"
        print(f"SHA-256 of the archive: {digest} ({verdict})")
    if got.counts != (expected := known.by_split()) and expected:
        published = ", ".join(f"{count:,} in {split}" for split, count in expected.items())
        note(f"note: published are {published}")
    given = options.out or name
    print(
        f"next: unpaired train {'pix2pix' if known.paired else 'cyclegan'} --data {given} "
        f"--preset {name.removesuffix('-pairs')}"
        if known.trains
        else f"next: unpaired translate RUN {got.folder} --out DIR"
    )
    if options.json:
        told = {"folder": str(got.folder), "counts": got.counts, "source": got.record}
        write_whole(Path(options.json), json.dumps(told, indent=1))


def _check(arguments: list[str]) -> None:
    if (data := take(arguments, "--data")) is not None:  # as `train` has it
        arguments = [data, *arguments]
    options = parse(CheckOptions, arguments, "unpaired data check")
    from unpaired.data.check import check_dataset

    report = check_dataset(options.data, options.x, options.y)
    print(report.text())
    if options.json:
        write_whole(Path(options.json), json.dumps(report.as_dict(), indent=1))


VERBS = {"list": _list, "get": _get, "check": _check}
