"""A table with one line per picture, for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from unpaired.errors import UserError, reason_of
from unpaired.whole import write_whole

FORMULA = tuple("=+-@\t\r\n＝＋－＠'")
"""What a spreadsheet may take for the beginning of a formula (OWASP, "CSV Injection"), and the
apostrophe that guards against it, so that taking off one apostrophe always gives the name back."""

HEAD = ("direction", "name")


def write_csv(
    path: Path,
    side_name: str,
    names: Sequence[str],
    columns: Mapping[str, np.ndarray],
    *,
    append: bool = False,
) -> None:
    """Write one line per picture: `direction,name` and a column per measure.

    RFC 4180 in UTF-8 without a byte order mark; the file takes its place only when it is whole.
    Numbers have a decimal point and as many digits as give them back exactly; what is not finite is
    left empty, which pandas reads as missing. A name that a spreadsheet could run as a formula
    stands behind an apostrophe; `name.removeprefix("'")` is always the picture's own. What is no
    Unicode in a name is written as backslash escapes.

    Args:
        side_name: the direction, as "x2y".
        names: N pictures' names.
        columns: by measure, (N,) numbers.
        append: keep the lines of the table that is there already, for the second direction of a
            run. Columns that one direction lacks are empty in its lines.
    Raises: ValueError if a column is not (N,); UserError if the file can't be read or written, or
        is another table than this.
    """
    for measure, values in columns.items():
        if np.shape(values) != (len(names),):
            raise ValueError(f"{measure} is {np.shape(values)} for {len(names)} pictures")
    kept = _read(path) if append else []
    fresh = [
        {
            "direction": _safe(side_name),
            "name": _safe(name),
            **{_safe(measure): _number(values[i]) for measure, values in columns.items()},
        }
        for i, name in enumerate(names)
    ]
    header = dict.fromkeys([*HEAD, *(kept[0] if kept else ()), *map(_safe, columns)])
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(header), restval="")
    writer.writeheader()
    writer.writerows(kept + fresh)
    try:
        write_whole(path, text.getvalue().encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise _cannot("write", path, error) from None


def _read(path: Path) -> list[dict[str, str]]:
    """The lines of a table written before; UserError if it is anything else."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            lines, header = list(reader), tuple(reader.fieldnames or ())
    except OSError as error:
        raise _cannot("read", path, error) from None
    except (csv.Error, UnicodeDecodeError):
        lines, header = [], ()
    if header[: len(HEAD)] != HEAD or any(None in line for line in lines):
        raise UserError(
            f'"{path}" is no table of scores per picture; give a name that is not taken'
        )
    return lines


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def _number(value: float) -> str:
    return repr(float(value)) if np.isfinite(value) else ""


def _cannot(verb: str, path: Path, error: OSError) -> UserError:
    reason = reason_of(error)
    return UserError(f'cannot {verb} "{path}": {reason}; give a file in a folder you can write to')
