"""`unpaired translate`."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from unpaired.cli.outputs import tell
from unpaired.cli.pipe import PIPE, is_piped, translate_piped
from unpaired.cli.translate_options import TranslateOptions
from unpaired.errors import UserError
from unpaired.options import parse
from unpaired.telling import note
from unpaired.whole import write_whole

if TYPE_CHECKING:
    from unpaired.translation.base import BaseTranslator


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

    many = options.ray is not None or is_many(options.inputs, options.out, os.environ)
    if is_picture(options.out) and not Path(options.out).is_dir():
        if not many and len(options.inputs) == 1 and is_picture(options.inputs[0]):
            return translate_piped(options)
        raise UserError(
            f'--out "{options.out}" is called like a picture, which is for one picture; give a '
            "folder: pictures keep their names in it"
        )
    if many:
        if films := [place for place in (*options.inputs, options.out) if is_film(place)]:
            raise UserError(
                f'"{films[0]}" is a film; one process translates a film, alone: call it without '
                "torchrun (RANK, WORLD_SIZE), --ray, URLs and shards"
            )
        from unpaired.cli.many import translate_share

        return translate_share(options)
    from unpaired.translation.folder import translate_files

    translator = options.translator()
    if is_film(options.out):
        return film(options, translator)
    if clips := [place for place in options.inputs if is_film(place)]:
        raise UserError(
            f'"{clips[0]}" is a film; films are translated one at a time, into an --out that ends '
            f"in {', '.join(FILMS)}"
        )
    options.check_still()
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


def film(options: TranslateOptions, translator: BaseTranslator) -> int:
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
