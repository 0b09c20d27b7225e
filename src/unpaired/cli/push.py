"""`unpaired push`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from unpaired.cli.outputs import check_writable
from unpaired.errors import UserError
from unpaired.options import parse
from unpaired.whole import write_whole


@dataclass(frozen=True)
class PushOptions:
    """Publish a run on the Hugging Face Hub: what translates, its settings, and a model card.

    The token is $HF_TOKEN's or what `hf auth login` keeps. Of the data nothing is uploaded but the
    grid of sample pictures.
    """

    run: Annotated[Positional[str], tyro.conf.arg(metavar="RUN")]
    """Run folder or checkpoint folder."""
    name: Annotated[Positional[str], tyro.conf.arg(metavar="USER/NAME")]
    """The repository; made if it isn't there."""
    dry_run: Annotated[str | None, tyro.conf.arg(metavar="DIR")] = None
    """Write what would be uploaded into this folder, and upload nothing."""
    private: bool = False
    """Make the repository private."""
    license: str | None = None
    """Of the weights, as the Hub names licences: apache-2.0, cc-by-nc-4.0, ..."""
    samples: bool = True
    """With the grid of sample pictures, which shows pictures of the data."""
    full: bool = False
    """The complete checkpoint, so that others can go on training: three times as large or more."""
    message: str | None = None
    """Of the commit."""
    branch: str | None = None
    """Push to this branch; made if it isn't there."""
    checkpoint: str = "latest"
    """latest, best, or a step number."""
    json: str | None = None
    """Write the address and the files to this file."""

    def __post_init__(self) -> None:
        check_writable(self.json)
        if self.dry_run is not None and (self.private or self.message):
            raise UserError("--dry-run uploads nothing; drop --private and --message")


def run(arguments: list[str]) -> int:
    """`unpaired push RUN USER/NAME`."""
    options = parse(PushOptions, arguments, "unpaired push")
    from unpaired.translation.hub.names import HubName, need_hub_name
    from unpaired.translation.hub.packing import Publishing, pack
    from unpaired.translation.hub.pushing import push

    repo = need_hub_name(options.name).repo
    name = HubName(repo, options.branch)
    facts: dict[str, object] = {"name": str(name)}
    if options.dry_run is not None:
        out = Path(options.dry_run)
        what = Publishing(options.license, options.samples, options.full)
        files = pack(Path(options.run), out, name, what, options.checkpoint)
        for file in files:
            print(f"{file.stat().st_size:>12,}  {file.name}")
        print(f"{out}\nlook at README.md, then push it: the same command without --dry-run")
        facts |= {"folder": str(out), "files": [file.name for file in files]}
    else:
        url = push(
            options.run,
            repo,
            checkpoint=options.checkpoint,
            commit_message=options.message,
            private=options.private or None,
            branch=options.branch,
            license=options.license,
            samples=options.samples,
            full=options.full,
        )
        print(f"{url}\nothers use it with: unpaired translate {name} PICTURES --out DIR")
        facts["commit"] = url
    if options.json:
        write_whole(Path(options.json), json.dumps(facts, indent=1))
    return 0
