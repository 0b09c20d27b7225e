"""Where a study's pictures come from: evaluated runs, and folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unpaired.data.decode import UnreadableImage, read_picture
from unpaired.data.fingerprint import fingerprint
from unpaired.data.images import DomainName
from unpaired.data.showing import as_rgb
from unpaired.errors import UserError
from unpaired.evaluation.views import open_views
from unpaired.training.card import read_card
from unpaired.training.checkpoint import read_images
from unpaired.training.config import read_yaml
from unpaired.training.finding import find_checkpoint
from unpaired.training.shares import data_of

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
MOST = 500  # real pictures that are taken of a run's data, evenly spread
Way = Literal["x2y", "y2x"]
RGB = NDArray[np.uint8]
Pictures = Mapping[str, Callable[[], RGB]]
"""By name, a function that reads one: (H, W, 3) uint8. Raises: UserError."""


@dataclass
class Side:
    """One direction: what is real there, and what each algorithm makes."""

    real: Pictures = field(default_factory=dict)
    fakes: dict[str, Pictures] = field(default_factory=dict)
    """By the algorithm's name."""


def open_sides(
    sources: Sequence[str], real: Path | None, ways: Sequence[Way], *, needs_real: bool = True
) -> dict[str, Side]:
    """The pictures that a study is made of, by direction; of one direction alone, by "".

    Args:
        sources: an evaluated run's folder (its translations are taken), or NAME=FOLDER.
        real: folder of real pictures of what is generated; None: the runs' own test pictures.
        ways: "x2y", "y2x" or both; folders have one.
    Raises: UserError if something is missing, not clear, or can't be read.
    """
    named = _named(sources)
    runs = {name: path for name, path in named.items() if (path / "config.yaml").is_file()}
    if len(ways) > 1 and (real is not None or len(runs) < len(named)):
        raise UserError(
            "both directions at once come of runs alone; for folders make one study per direction"
        )
    if needs_real and real is None and not runs:
        raise UserError("nothing real to show; give --real FOLDER")
    own = _real_pictures(runs, ways) if needs_real and real is None else {}
    sides: dict[str, Side] = {}
    for way in ways:
        side = Side(own.get(way, {}) if real is None else in_folder(real))
        for name, path in named.items():
            folder = _translations(path, way, ways) if name in runs else path
            if folder is not None:
                side.fakes[name] = in_folder(folder)
        sides["" if len(ways) == 1 else way] = side
    return sides


def in_folder(folder: Path) -> Pictures:
    """Picture files by their name without suffix, in order; hidden ones are left out.

    Raises: UserError if there are fewer than two.
    """
    if not folder.is_dir():
        raise UserError(f'no folder "{folder}"; check the path')
    found = {
        path.relative_to(folder).with_suffix("").as_posix(): partial(_read, path)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    if len(found) < 2:
        raise UserError(f'"{folder}" holds {len(found)} pictures; a study needs 2 or more')
    return found


def _named(sources: Sequence[str]) -> dict[str, Path]:
    """Folders by the name that results call them."""
    found: dict[str, Path] = {}
    for source in sources:
        name, equals, folder = source.partition("=")
        path = Path(folder) if equals else Path(source)
        if not equals:
            name = path.resolve().name
        if not name or " : " in name or len(name) > 60 or not name.isprintable():
            raise UserError(f"an algorithm is called {name[:60]!r}; give it a short plain name")
        if name in found:
            raise UserError(f'two sources are called "{name}"; tell them apart with NAME=FOLDER')
        if not path.is_dir():
            raise UserError(f'no folder "{path}"; check the path')
        if not equals and not (path / "config.yaml").is_file():
            raise UserError(f'"{path}" is no run; give a folder of pictures as NAME={path}')
        found[name] = path
    if not found:
        raise UserError("nothing to judge; give evaluated runs, or NAME=FOLDER")
    return found


def _translations(run: Path, way: Way, ways: Sequence[Way]) -> Path | None:
    """Where a run's translations are; None if it goes another of the wanted ways alone."""
    have = [one for one in ways if (run / "translations" / one).is_dir()]
    if not have:
        raise UserError(
            f'"{run}" has no translations {" or ".join(ways)} of its test pictures; run: unpaired '
            f"evaluate {run}"
        )
    return run / "translations" / way if way in have else None


def _real_pictures(runs: Mapping[str, Path], ways: Sequence[Way]) -> dict[Way, Pictures]:
    """The test pictures of the data that all runs share, as the runs see them."""
    keys: dict[str, str] = {}
    real: dict[Way, Pictures] = {}
    for name, run in runs.items():
        card = read_card(find_checkpoint(run, "latest"))
        data = data_of(read_yaml(run / "config.yaml"), card.channels_x, card.channels_y)
        keys[name] = fingerprint(data)
        if not real:
            views = open_views(data, read_images(card), card.size, MOST)
            for way in ways:
                domain: DomainName = "y" if way == "x2y" else "x"
                pixels = views.test[domain]
                real[way] = {
                    picture: partial(as_rgb, pixels[i])
                    for i, picture in enumerate(views.names[domain])
                }
    if len(set(keys.values())) > 1:
        raise UserError(
            f"the runs learned from different data ({', '.join(keys)}); give --real FOLDER"
        )
    return real


def _read(path: Path) -> RGB:
    try:
        return as_rgb(read_picture(path).pixels)
    except UnreadableImage as error:
        raise UserError(f"{error}; mend or remove it") from None
