"""`unpaired export`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from unpaired.cli.outputs import check_writable
from unpaired.options import parse
from unpaired.whole import write_whole


@dataclass(frozen=True)
class ExportOptions:
    """Write a run's network as one file that other programs can run, checked against the run."""

    run: Annotated[Positional[str], tyro.conf.arg(metavar="RUN")]
    """Run folder, checkpoint folder, weights from elsewhere, a published model, or user/name of the
    Hub."""
    format: Literal["onnx", "openvino", "torch"] = "onnx"
    """onnx: .onnx; openvino: .xml and .bin; torch: .pt2, for torch.export.load."""
    out: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """Default: in the run folder, else in the current one, named after it and the direction."""
    direction: Literal["x2y", "y2x"] | None = None
    """Default: the run's first."""
    checkpoint: str = "latest"
    """latest, best, or a step number."""
    overwrite: bool = False
    """Replace what is already there."""
    json: str | None = None
    """Write path, error and what was compared to this file."""

    def __post_init__(self) -> None:
        check_writable(self.json)


def run(arguments: list[str]) -> int:
    """`unpaired export RUN --format FORMAT`."""
    options = parse(ExportOptions, arguments, "unpaired export")
    from unpaired.translation.exporting.export import TOLERANCE, export

    made = export(
        options.run,
        options.out,
        format=options.format,
        direction=options.direction,
        checkpoint=options.checkpoint,
        overwrite=options.overwrite,
    )
    sizes = ", ".join(f"{n} of {high} x {wide}" for n, high, wide in made.shapes)
    print(
        f"{made.direction} -> {made.path}; largest difference to torch in float32 "
        f"{made.error:.1e} (at most {TOLERANCE:.0e} is allowed) over {sizes}"
    )
    if options.json:
        facts = {
            "path": str(made.path),
            "direction": made.direction,
            "error": made.error,
            "tolerance": TOLERANCE,
            "shapes": made.shapes,
        }
        write_whole(Path(options.json), json.dumps(facts, indent=1))
    return 0
