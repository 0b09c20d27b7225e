"""`unpaired translate`."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional

from unpaired.cli.outputs import check_writable, tell
from unpaired.cli.pipe import PIPE, is_piped, translate_piped
from unpaired.errors import UserError
from unpaired.options import parse
from unpaired.telling import note
from unpaired.whole import write_whole

if TYPE_CHECKING:
    from unpaired.translation.translator import Translator


@dataclass(frozen=True)
class TranslateOptions:
    """Turn pictures into the other domain. Output size = input size; inputs are never touched."""

    run: Annotated[Positional[str], tyro.conf.arg(metavar="RUN")]
    """Run folder, checkpoint folder, file from `unpaired export`, weights from elsewhere (.pth,
    .safetensors), a published model (horse2zebra, ...; `unpaired import --list`), or user/name of
    the Hugging Face Hub."""
    inputs: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="PICTURES...")]
    """Pictures and folders; sub-folders are kept. Or one film. Or URLs (s3://, gs://, ...), or tar
    shards: data-{000..123}.tar. Or - for one picture from standard input."""
    out: Annotated[str, tyro.conf.arg(metavar="DIR")]
    """Folder or URL for the results; of a film, a file: .mp4, .mov, .mkv or .webm; - for
    one picture to standard output, which an input - has by default."""
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
    smooth: float = 0.0
    """Films: share of the past in the norms' statistics, against flicker; 0.9 is a good start."""
    backend: Literal["auto", "torch", "openvino", "onnx"] = "auto"
    """What computes; auto: OpenVINO where it is installed and no GPU is there, else torch."""
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    ray: int | None = None
    """Through Ray, with so many actors; RAY_ADDRESS names the cluster."""
    json: str | None = None
    """Write the summary to this file."""

    def __post_init__(self) -> None:
        if not self.inputs:
            raise UserError("no pictures to translate; name files or folders after the run")
        if self.batch < 1:
            raise UserError(f"--batch is {self.batch}; give 1 or more")
        if self.ray is not None and self.ray < 1:
            raise UserError(f"--ray is {self.ray}; give the number of actors, 1 or more")
        check_writable(self.json)


FILMS = (".mp4", ".mov", ".mkv", ".webm")


def run(arguments: list[str]) -> int:
    """`unpaired translate RUN PICTURES... --out DIR`."""
    if PIPE in arguments and not any(word.split("=")[0] == "--out" for word in arguments):
        arguments = [*arguments, "--out", PIPE]
    if len(arguments) == 1 and not arguments[0].startswith("-"):
        raise UserError("missing PICTURES..., --out DIR; see unpaired translate --help")
    options = parse(TranslateOptions, arguments, "unpaired translate")
    # large memory pages for torch's tensors, where the system allows them; read at its import
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if is_piped(options):
        return translate_piped(options)
    from unpaired.translation.many.sources import is_many, is_picture

    if is_picture(options.out) and not Path(options.out).is_dir():
        raise UserError(
            f'--out "{options.out}" is called like a picture; give a folder: pictures keep their '
            "names in it"
        )
    if options.ray is not None or is_many(options.inputs, options.out, os.environ):
        if films := [place for place in (*options.inputs, options.out) if is_film(place)]:
            raise UserError(
                f'"{films[0]}" is a film; one process translates a film, alone: call it without '
                "torchrun (RANK, WORLD_SIZE), --ray, URLs and shards"
            )
        from unpaired.cli.many import translate_share

        return translate_share(options)
    from unpaired.translation.folder import translate_files
    from unpaired.translation.translator import Translator

    translator = Translator.load(
        options.run,
        checkpoint=options.checkpoint,
        device=options.device,
        precision=options.precision,
        backend=options.backend,
    )
    if is_film(options.out):
        return film(options, translator)
    if clips := [place for place in options.inputs if is_film(place)]:
        raise UserError(
            f'"{clips[0]}" is a film; films are translated one at a time, into an --out that ends '
            f"in {', '.join(FILMS)}"
        )
    from unpaired.data.decode import IMAGE_SUFFIXES

    if Path(options.out).suffix.lower() in IMAGE_SUFFIXES and not Path(options.out).is_dir():
        raise UserError(f'--out "{options.out}" names a picture; give a folder for the results')
    if options.smooth:
        raise UserError("--smooth is for films; give an --out that ends in .mp4")
    summary = translate_files(
        translator,
        [Path(place) for place in options.inputs],
        Path(options.out),
        direction=options.direction,
        batch=options.batch,
        overwrite=options.overwrite,
        format=options.format,
        tiles=options.tiles,
        on_error=tell_error,
    )
    if summary.translated:
        note(f"computed by {translator.computes}")
    return tell(summary, "translated", options.out, options.json, backend=translator.computes)


def is_film(place: str) -> bool:
    """By its suffix, unless it is a folder that is called so."""
    return Path(place).suffix.lower() in FILMS and not Path(place).is_dir()


def tell_error(grey: float) -> None:
    """How far fast tiling is from exact, in grey levels of 255; nan: nobody knows."""
    about = f"about {grey:.2f} grey levels from exact"
    if math.isnan(grey):
        about = "too few pieces to tell how far from exact; --tiles exact is sure"
    note(f"normed by a sample: {about}")


def film(options: TranslateOptions, translator: Translator) -> int:
    """One film into another."""
    if len(options.inputs) != 1:
        raise UserError("a film is translated alone; give one input")
    try:
        from unpaired.translation.video import translate_video
    except ModuleNotFoundError as error:
        raise UserError(f"films need {error.name}; run: pip install 'unpaired[video]'") from None
    told = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > 5:
            told = time.monotonic()
            note(f"frame {done}" + (f" of {total}" if total else ""))

    made = translate_video(
        translator,
        Path(options.inputs[0]),
        Path(options.out),
        direction=options.direction,
        smooth=options.smooth,
        overwrite=options.overwrite,
        on_frame=progress,
    )
    still = "nothing stood still" if made.flicker is None else f"{made.flicker:.2f} grey levels"
    print(f"{made.frames} frames -> {options.out}; flicker where the source stands still: {still}")
    note(f"computed by {translator.computes}")
    if options.json:
        facts = {**asdict(made), "backend": translator.computes}
        write_whole(Path(options.json), json.dumps(facts, indent=1))
    return 0
