"""`unpaired import`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from unpaired.cli.outputs import check_writable
from unpaired.errors import UserError
from unpaired.options import parse
from unpaired.translation.published import PUBLISHED, listing
from unpaired.whole import write_whole


@dataclass(frozen=True)
class ImportOptions:
    """Make a run folder of weights from elsewhere: a file, or a model that the authors publish."""

    weights: Annotated[Positional[str | None], tyro.conf.arg(metavar="WEIGHTS")] = None
    """A file of torch.save or safetensors, or a name of --list."""
    out: Annotated[str | None, tyro.conf.arg(metavar="RUN")] = None
    """The run folder to be written."""
    list: bool = False
    """List the published models."""
    back: Annotated[str | None, tyro.conf.arg(metavar="WEIGHTS")] = None
    """The generator of the other way, from Y to X."""
    part: str | None = None
    """Which of a file's generators: what its names begin with."""
    norm: Literal["instance", "instance-affine", "batch", "none"] | None = None
    """What the generators norm by, where their files can't tell; docs/weights.md has the rule."""
    data: str | None = None
    """What `unpaired evaluate` is to score the run on, as for `unpaired train`."""
    x: str | None = None
    """Folder of domain X (with --y, instead of --data)."""
    y: str | None = None
    """Folder of domain Y."""
    json: str | None = None
    """Write what was recognised to this file."""

    def __post_init__(self) -> None:
        check_writable(self.json)
        if not self.list and (self.weights is None or self.out is None):
            raise UserError(
                "missing WEIGHTS and --out RUN; `unpaired import --list` has names"
                if self.weights is None
                else f"missing --out RUN; to translate at once: unpaired translate "
                f"{quote(self.weights)} PICTURES --out DIR"
            )


def run(arguments: list[str]) -> int:
    """`unpaired import WEIGHTS --out RUN` and `unpaired import --list`."""
    options = parse(ImportOptions, arguments, "unpaired import")
    if options.list or options.weights is None or options.out is None:
        print(listing())
        return 0
    from unpaired.translation.importing import import_weights
    from unpaired.translation.resolving import weights_of

    given = (options.part, options.norm)
    made = import_weights(
        weights_of(options.weights, *given),
        Path(options.out),
        back=weights_of(options.back, *given) if options.back else None,
        data=options.data,
        x=options.x,
        y=options.y,
    )
    print(f"x2y: {made.G.layout.in_words()}")
    if made.F:
        print(f"y2x: {made.F.layout.in_words()}")
    elif (name := options.weights) in PUBLISHED and (other := PUBLISHED[name].back):
        print(f"one way only; for both, import it with --back {other}")
    print(f"{options.out}\nnext: unpaired translate {quote(options.out)} PICTURES --out DIR")
    if options.json:
        facts = {"run": options.out, **asdict(made)}
        write_whole(Path(options.json), json.dumps(facts, indent=1))
    return 0
