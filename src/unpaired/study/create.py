"""A new study."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unpaired.errors import UserError, reason_of
from unpaired.study.assignment import arms_of, check_enough
from unpaired.study.design import Design, write_design
from unpaired.study.sources import Side
from unpaired.study.stimuli import choose_pictures, common_size, write_picture
from unpaired.study.store import Store


def create_study(
    out: Path,
    sides: Mapping[str, Side],
    design: Design,
    *,
    size: int | None = None,
    about: Mapping[str, Any] | None = None,
) -> Store:
    """Re-encode all pictures alike and set up the database; whole or not at all.

    Args:
        sides: the pictures by direction, "" if there is one.
        size: side of the pictures; None: the first real picture's shorter side.
        about: where the pictures are from, for the report.
    Raises: UserError if `out` is taken, pictures are too few, or can't be read.
    """
    check_free(out)
    design = replace(design, size=size or common_size(sides))
    if design.question == "better":
        sides = {way: Side({}, side.fakes) for way, side in sides.items()}
    rng = np.random.default_rng([design.seed, 1])
    jobs = choose_pictures(sides, design.attention if design.question != "better" else 0, rng)
    pictures = [picture for picture, _ in jobs]
    if not arms_of(pictures, design):
        raise UserError("comparing algorithms takes two; give two or more of them")
    check_enough(pictures, design)
    fresh = out.resolve().with_name(f".{out.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        (fresh / "images").mkdir(parents=True)
        for picture, read in jobs:
            write_picture(fresh / "images", picture, read(), design.size, rng)
        write_design(fresh / "study.yaml", design)
        Store.create(fresh / "study.sqlite", pictures, dict(about or {})).close()
        if out.exists():
            out.rmdir()
        fresh.rename(out)
    except OSError as error:
        reason = reason_of(error)
        raise UserError(f'cannot write the study "{out}": {reason}; make room') from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return Store(out / "study.sqlite")


def check_free(out: Path) -> None:
    """Raises: UserError if something is there."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f'"{out}" is not empty; choose another --out, or remove it')
