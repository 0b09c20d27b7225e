"""`unpaired translate` of one picture, by file or pipe, into one file or pipe."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from unpaired.cli.translate_options import TranslateOptions
from unpaired.errors import UserError
from unpaired.telling import note
from unpaired.whole import write_whole

if TYPE_CHECKING:
    from unpaired.data.opening import Encoded
    from unpaired.translation.output import Format

PIPE = "-"
FILM_MARKS = (b"ftypisom", b"ftypmp4", b"ftypqt", b"ftypM4V", b"ftypavc1", b"ftypiso")
MATROSKA = b"\x1a\x45\xdf\xa3"
PICTURE_MARKS = (b"\xff\xd8", b"\x89PNG", b"RIFF", b"II", b"MM", b"BM", b"GIF8")
"""What files of `decode.FORMATS` start with; nothing else is read to its end."""
HEAD = 64  # bytes, by which formats are told


def is_piped(options: TranslateOptions) -> bool:
    """Whether a `-` is among the inputs, or is the output."""
    return PIPE in options.inputs or options.out == PIPE


def translate_piped(options: TranslateOptions) -> int:
    """Translate one picture; nothing but it is written to standard output.

    Raises: UserError for whatever is wrong with it: nothing is written then.
    """
    check(options)
    source = encoded(options.inputs[0])
    # what libraries print must not end up in the picture
    with contextlib.redirect_stdout(sys.stderr):
        content, computes = translated(options, source)
    if options.out == PIPE:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        write_whole(Path(options.out), content)
    note(f"computed by {computes}")
    if options.json:
        counts = {"translated": 1, "skipped": 0, "failed": [], "backend": computes}
        write_whole(Path(options.json), json.dumps(counts, indent=1))
    return 0


def check(options: TranslateOptions) -> None:
    """Refuse what can't be piped, before anything is read. Raises: UserError."""
    if len(options.inputs) > 1:
        raise UserError('"-" stands for one picture; give one input, or --out DIR for several')
    if options.smooth or options.ray is not None:
        option = "--ray" if options.ray is not None else "--smooth"
        raise UserError(f'{option} is not for a single picture in a pipe ("-"); drop it')
    if options.out == PIPE:
        if sys.stdout is None:
            raise UserError("standard output is closed; redirect it (> b.png) or give --out FILE")
        if sys.stdout.isatty():
            raise UserError(
                "a picture is not written to a terminal; redirect it (> b.png) or give --out FILE"
            )
        return
    out = Path(options.out)
    if out.is_dir():
        raise UserError(
            f'a picture from standard input has no name to get in "{out}"; give --out FILE'
        )
    if not out.parent.is_dir():
        raise UserError(f'--out "{out}" is in a folder that is not there; make it first')
    if out.exists() and not options.overwrite:
        raise UserError(f'"{out}" is already there; give --overwrite to replace it')
    if out.exists() and options.inputs[0] != PIPE and out.samefile(options.inputs[0]):
        raise UserError(f'--out "{out}" is the input; give another name')
    suffix_format(options)


def suffix_format(options: TranslateOptions) -> Format | None:
    """The format asked for; else the one that --out is called after. Raises: UserError."""
    from unpaired.translation.output import Format, check_format

    if options.out == PIPE:
        return options.format
    suffix = Path(options.out).suffix.lower().lstrip(".")
    named = {"jpeg": "jpg", "tiff": "tif"}.get(suffix, suffix)
    if named not in get_args(Format):
        raise UserError(
            f'--out "{options.out}" names no format for the picture; end it in '
            f".{', .'.join(get_args(Format))}"
        )
    if options.format not in (None, named):
        raise UserError(f'--format {options.format} contradicts --out "{options.out}"; drop one')
    check_format(named)
    return named  # type: ignore[return-value]


def encoded(name: str) -> Encoded:
    """The picture's bytes, or its file. Raises: UserError if it is none that can be piped."""
    from unpaired.data.opening import Member
    from unpaired.data.picture import MAX_BYTES

    if name != PIPE:
        path = Path(name)
        if path.is_dir():
            raise UserError(f'"{path}" is a folder; --out - is for one picture, give --out DIR')
        if not path.exists():
            raise UserError(f'no image at "{path}"; check the path')
        return path
    if sys.stdin is None:
        raise UserError("standard input is closed; pipe a picture into it: cat a.jpg | ...")
    if sys.stdin.isatty():
        raise UserError("standard input is a terminal; pipe a picture into it: cat a.jpg | ...")
    content = sys.stdin.buffer.read(HEAD)
    if content.startswith(MATROSKA) or content[4:12].startswith(FILM_MARKS):
        raise UserError(
            "standard input holds a film; films are translated from files, into an --out that "
            "ends in .mp4"
        )
    if content.startswith(PICTURE_MARKS):  # else the head is enough to be refused by
        content += sys.stdin.buffer.read(MAX_BYTES + 1 - len(content))
    if len(content) > MAX_BYTES:
        raise UserError(f"standard input holds more than {MAX_BYTES} bytes; give a file")
    return Member("standard input", content)


def translated(options: TranslateOptions, source: Encoded) -> tuple[bytes, str]:
    """The result's bytes, and what computed them. Raises: UserError."""
    from unpaired.data.decode import UnreadableImage, ranged, read_stored
    from unpaired.data.opening import path_of
    from unpaired.translation.output import Unwritable, choose_format, encode
    from unpaired.translation.tiling.tiler import Tiler

    try:
        stored = read_stored(source)  # before the run is looked for
    except UnreadableImage as error:
        raise UserError(f"{error}; give a whole picture") from None
    translator = options.translator()
    tiler = Tiler(translator, options.direction, options.tiles)
    try:
        (made,) = tiler.pictures([ranged(stored, path_of(source), tiler.span)])
    except UnreadableImage as error:
        raise UserError(f"{error}; give a picture in the values of the run") from None
    try:
        content = encode(made, choose_format(made, suffix_format(options)))
    except Unwritable as error:
        raise UserError(f"{error}, with --format or the name of --out") from None
    return content, translator.computes
