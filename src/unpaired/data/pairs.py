"""Which file of one folder shows the same thing as which file of another: equal names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from unpaired.errors import UserError

LONELY_SHARE = 0.05  # above it the folders were hardly meant as pairs
WANTED = (
    "pairs are files of equal names in both (03.jpg, 03.png), or pictures side by side in FOLDER/"
    "train, X left and Y right"
)

Reasons = dict[Path, str]


def partners(
    x: Sequence[Path], x_root: Path, y: Sequence[Path], y_root: Path
) -> tuple[list[Path], list[Path], Reasons]:
    """The files of X and Y whose names below their roots are equal, suffix aside.

    Returns: (of X, in its order; their partners in Y; why each other file is left out).
    Raises: UserError if there is no pair, or over 5 % of a folder's files have no partner.
    """
    named = _by_name(x, x_root), _by_name(y, y_root)
    alone: Reasons = {}
    for own, other, root, other_root in ((*named, x_root, y_root), (*named[::-1], y_root, x_root)):
        lonely: Reasons = {}
        for name, files in own.items():
            if len(files) > 1:
                lonely |= dict.fromkeys(files, "another file has this name, but for the suffix")
            elif len(other.get(name, ())) != 1:
                lonely[files[0]] = f'no partner of this name in "{other_root}"'
        count = sum(map(len, own.values()))
        if len(lonely) == count:
            raise UserError(f'no pairs in "{x_root}" and "{y_root}"; {WANTED}')
        if len(lonely) > LONELY_SHARE * count:
            first = min(lonely)
            raise UserError(
                f'{len(lonely)} of {count} files in "{root}" have no partner ({first.name}: '
                f"{lonely[first]}), over {LONELY_SHARE:.0%}; rename or remove them"
            )
        alone |= lonely
    pairs = [(files[0], named[1][name][0]) for name, files in named[0].items() if name in named[1]]
    pairs = [(a, b) for a, b in pairs if a not in alone and b not in alone]
    return [a for a, _ in pairs], [b for _, b in pairs], alone


def bare_name(file: Path, root: Path) -> str:
    """A file's name below `root` without its last suffix, the same on every system."""
    return file.relative_to(root).with_suffix("").as_posix()


def _by_name(files: Sequence[Path], root: Path) -> dict[str, list[Path]]:
    named: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        named[bare_name(file, root)].append(file)
    return dict(named)
