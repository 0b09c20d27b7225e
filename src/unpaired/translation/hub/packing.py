"""The folder that a run is published as: what translates, how it was made, and a model card."""

from __future__ import annotations

import dataclasses
import io
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import save_file

from unpaired.data.domains import SWAPPED
from unpaired.errors import UserError, reason_of
from unpaired.methods import KINDS
from unpaired.telling import note
from unpaired.training.card import Card, read_files
from unpaired.training.checkpoint import load_method, read_state, seal
from unpaired.training.config import TrainConfig, read_yaml, with_changes, write_yaml
from unpaired.training.finding import find_checkpoint
from unpaired.translation.hub.carding import Shown, model_card, numbers_of
from unpaired.translation.hub.names import HubName
from unpaired.whole import give_usual_mode, passing_folder, write_whole

SAMPLES = "samples.png"


@dataclass(frozen=True)
class Publishing:
    """What is published of a run."""

    license: str | None = None
    """Of the weights, as the Hub names licences: apache-2.0, cc-by-nc-4.0, ..."""
    samples: bool = True
    """The grid of sample pictures, which shows pictures of the data."""
    full: bool = False
    """The complete checkpoint, with which training can go on."""


def pack(
    source: Path, out: Path, name: HubName, what: Publishing, checkpoint: str = "latest"
) -> list[Path]:
    """Write the folder; whole, or not there.

    Args:
        source: a run folder, or a checkpoint folder.
        out: new or empty.
        name: where it will be, for the model card.
    Returns: its files.
    Raises: UserError if there is no such checkpoint, it is damaged, or `out` can't be written.
    """
    folder = find_checkpoint(source, checkpoint)
    run = folder.parent.parent if folder.parent.name == "checkpoints" else folder
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f'"{out}" is not empty; give another folder')
    try:
        with passing_folder(out) as passing:
            saved = _config(run)
            card = _weights(folder, passing, saved, what.full)
            if saved:
                write_yaml(saved, passing / "config.yaml")
            grid = _samples(run, card.step) if what.samples else None
            if grid:
                write_whole(passing / SAMPLES, grid)
            shown = Shown(name, card, saved, what.license, SAMPLES if grid else None, what.full)
            numbers = numbers_of(run, card.step)
            if numbers is None and KINDS[card.method].players:
                note(
                    f"no numbers of step {card.step} for the model card; to have some: "
                    f"unpaired evaluate {quote(str(run))}"
                )
            write_whole(passing / "README.md", model_card(shown, numbers))
            if out.is_dir():
                out.rmdir()
            passing.rename(out)
    except (OSError, SafetensorError) as error:
        raise UserError(f'cannot write "{out}": {reason_of(error)}; give another folder') from None
    return sorted(path for path in out.iterdir())


def _config(run: Path) -> TrainConfig[Any] | None:
    """The run's settings, if it is a run, without the places where its pictures lay.

    Raises: UserError if they can't be read.
    """
    path = run / "config.yaml"
    if not path.is_file():
        return None
    config = read_yaml(path)
    places = {part: getattr(config, part) for part in ("data", "x", "y")}
    return with_changes(config, {part: bare(place) for part, place in places.items() if place})


def _weights(checkpoint: Path, out: Path, config: TrainConfig[Any] | None, full: bool) -> Card:
    """The card and the weights. Raises: OSError, SafetensorError, UserError."""
    if full:
        card, _ = read_state(checkpoint)  # every file is what was written
        for file in map(checkpoint.joinpath, read_files(checkpoint)[1]):  # and no others
            if file.suffix in (".safetensors", ".json") and file.parent == checkpoint:
                shutil.copyfile(file, out / file.name)
    else:
        method, card = load_method(checkpoint)
        only = method.translators()
        weights = {
            key: value.contiguous()
            for key, value in method.state_dict().items()
            if key.split(".")[0] in only
        }
        save_file(weights, out / "weights.safetensors")
        give_usual_mode(out / "weights.safetensors")
    if KINDS[card.method].players:
        swapped = SWAPPED if card.data.endswith(SWAPPED) else ""
        words = card.data.removesuffix(SWAPPED).split(" and ")
        if config and config.x and config.y:
            words = [config.x, config.y]
        data = " and ".join(bare(word) for word in words) + swapped
        card = dataclasses.replace(card, data=data)
    seal(out, card)
    return card


def bare(place: str) -> str:
    """The last part of a path or address: the rest is nobody's business. hf://NAME stays whole."""
    if place.startswith("hf://"):
        return place
    return re.split(r"[/\\]", place.rstrip("/\\"))[-1] or "data"


def _samples(run: Path, step: int) -> bytes | None:
    """The last sample grid that is not of a later step, drawn anew: a picture, and nothing else."""
    grids = sorted((run / "samples").glob("step_*.png"))
    fit = [path for path in grids if path.stem[5:].isdigit() and int(path.stem[5:]) <= step]
    if not fit:
        return None
    try:
        with Image.open(fit[-1], formats=["PNG"]) as picture:
            drawn = io.BytesIO()
            Image.fromarray(np.asarray(picture.convert("RGB"))).save(drawn, "PNG")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(
            f'the sample grid "{fit[-1]}" is damaged ({reason_of(error)}); leave it out with '
            "--no-samples"
        ) from None
    return drawn.getvalue()
