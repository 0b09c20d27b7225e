"""`unpaired translate`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from unpaired.cli.outputs import check_writable, tell
from unpaired.errors import UserError
from unpaired.options import parse


@dataclass(frozen=True)
class TranslateOptions:
    """Turn pictures into the other domain. Output size = input size; inputs are never touched."""

    run: Annotated[Positional[str], tyro.conf.arg(metavar="RUN")]
    """Run folder or checkpoint folder."""
    inputs: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="PICTURES...")]
    """Pictures and folders; sub-folders are kept."""
    out: Annotated[str, tyro.conf.arg(metavar="DIR")]
    """Folder for the results."""
    direction: Literal["x2y", "y2x"] | None = None
    """Default: the run's first."""
    batch: int = 1
    """Pictures of equal size translated at once."""
    overwrite: bool = False
    """Do again what is already there."""
    checkpoint: str = "latest"
    """latest, best, or a step number."""
    format: Literal["png", "tif", "jpg", "webp", "bmp"] | None = None
    """Default: png, or tif where png can't hold the result."""
    tiles: Literal["auto", "exact", "fast", "off"] = "auto"
    """Large pictures in pieces: exact (the whole picture's numbers) or fast (nearly those); auto is
    exact beyond 4 million pixels."""
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    json: str | None = None
    """Write the summary to this file."""

    def __post_init__(self) -> None:
        if not self.inputs:
            raise UserError("no pictures to translate; name files or folders after the run")
        if self.batch < 1:
            raise UserError(f"--batch is {self.batch}; give 1 or more")
        check_writable(self.json)


def run(arguments: list[str]) -> int:
    """`unpaired translate RUN PICTURES... --out DIR`."""
    options = parse(TranslateOptions, arguments, "unpaired translate")
    from unpaired.translation.folder import translate_files
    from unpaired.translation.translator import Translator

    translator = Translator.load(
        options.run,
        checkpoint=options.checkpoint,
        device=options.device,
        precision=options.precision,
    )
    summary = translate_files(
        translator,
        [Path(p) for p in options.inputs],
        Path(options.out),
        direction=options.direction,
        batch=options.batch,
        overwrite=options.overwrite,
        format=options.format,
        tiles=options.tiles,
        on_error=lambda grey: print(
            f"normed by a sample: about {grey:.2f} grey levels from exact", file=sys.stderr
        ),
    )
    return tell(summary, "translated", options.out, options.json)
