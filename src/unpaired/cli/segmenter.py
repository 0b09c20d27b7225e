"""`unpaired segmenter train`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from unpaired.cli.outputs import check_writable
from unpaired.errors import UserError
from unpaired.evaluation.valid_json import json_text
from unpaired.options import nearest, parse
from unpaired.telling import note
from unpaired.whole import write_whole

VERBS = ("train",)


@dataclass(frozen=True)
class TrainOptions:
    """Train the network that reads photos for the FCN score, on real photos and their label images;
    prints its scores on the real test pairs, the ceiling of every score it gives."""

    data: Annotated[str, tyro.conf.arg(metavar="FOLDER|SET")]
    """Pairs of photo and label image: trainA, trainB, testA, testB with equal names, pictures side
    by side in train and test, or a named set such as worldtiles:labels-aerial."""
    out: Annotated[str, tyro.conf.arg(metavar="DIR")]
    """Folder for the segmenter."""
    classes: Annotated[str | None, tyro.conf.arg(metavar="NAME|FILE")] = None
    """worldtiles, cityscapes, camvid, or a JSON file with names and colours; worldtiles needs none.
    """
    labels: Literal["x", "y"] | None = None
    """The side with the label images; default: the one with the classes' colours."""
    steps: int | None = None
    """Training steps of 16 pictures; default 2000, or what --minutes allow."""
    minutes: float | None = None
    """Minutes of training."""
    size: str | None = None
    """Resize all pictures, label images without mixing colours: 128 or 128x96 (width x height);
    default: their own size."""
    rotate: bool | None = None
    """True turns training pictures by any angle: for pictures seen from above. Default: True for
    worldtiles only."""
    width: int = 32
    """Channels of the network's first level."""
    seed: int = 0
    """Of the weights' start and of the order of the pictures."""
    device: str = "auto"
    """cpu, cuda, mps, or auto: the first accelerator there is."""
    json: str | None = None
    """Write the scores to this file."""

    def __post_init__(self) -> None:
        check_writable(self.json)


def run(arguments: list[str]) -> int:
    """`unpaired segmenter train --data FOLDER|SET --out DIR`."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: unpaired segmenter train --data FOLDER|SET --out DIR [OPTIONS]")
        return 0
    verb, *rest = arguments
    if verb != "train":
        raise UserError(f'unknown verb "segmenter {verb}"{nearest(verb, VERBS)}; give train')
    options = parse(TrainOptions, rest, "unpaired segmenter train")
    from unpaired.evaluation.metrics import METRICS
    from unpaired.evaluation.segmenting.ceiling import classes_of_data, make_segmenter
    from unpaired.evaluation.segmenting.labelled import parse_size

    def on_progress(step: int, share: float, loss: float) -> None:
        if step % 50 == 0 or share >= 1:
            note(f"{share:4.0%}  step {step}  loss {loss:.3f}")

    size = parse_size(options.size) if options.size else None
    segmenter = make_segmenter(
        options.data,
        Path(options.out),
        classes_of_data(options.data, options.classes),
        labels=options.labels,
        steps=options.steps,
        minutes=options.minutes,
        size=size,
        rotate=options.rotate,
        width=options.width,
        seed=options.seed,
        device=options.device,
        on_progress=on_progress,
    )
    card = segmenter.card
    print(f"{card.ceiling['pictures']} real test photos, read by {segmenter.name}")
    for key, one in card.ceiling["scores"].items():
        score = "-" if one is None else f"{one['value']:.3f} ({one['low']:.3f}-{one['high']:.3f})"
        print(f"  {METRICS[key].title:<24}{score}")
    print(options.out)
    if options.json:
        told = {"out": options.out, "data": card.data, "training": card.training, **card.ceiling}
        write_whole(Path(options.json), json_text(told))
    return 0
