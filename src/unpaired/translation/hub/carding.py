"""The model card: README.md of what is published, for people and for the Hub's search."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import yaml

from unpaired import __version__
from unpaired.data.domains import SWAPPED
from unpaired.data.paper_sets import PAPER_SETS
from unpaired.methods import KINDS
from unpaired.training.card import Card
from unpaired.training.config import TrainConfig
from unpaired.translation.hub.names import HubName

LARGEST = 1 << 24
"""Bytes of numbers.json that are read; ours have some ten thousand."""
WORLDTILES = "public domain (NASA Blue Marble, NOAA ETOPO1, NASA MODIS)"
UNKNOWN = "unknown"
"""The Hub's word for weights whose licence nobody named."""
CYCLES = ("cyclegan", "uvcgan")
"""Methods that learn to come back, and to hide what they need for it (Chu et al. 2017)."""


@dataclass(frozen=True)
class Shown:
    """What the card tells of."""

    name: HubName
    card: Card
    """Its `data` is what people may read."""
    config: TrainConfig[Any] | None
    license: str | None
    samples: str | None
    """The grid's file."""
    full: bool


def model_card(shown: Shown, numbers: dict[str, Any] | None) -> str:
    """README.md: YAML for the Hub, then Markdown. Args: numbers: from `numbers_of`."""
    card, kind = shown.card, KINDS[shown.card.method]
    data = card.data.removesuffix(SWAPPED)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("unpaired.translation.hub", "templates"),
        autoescape=False,  # it is no HTML: what users wrote goes through `plain`
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    return environment.get_template("card.md.j2").render(
        front=yaml.safe_dump(_front(shown), sort_keys=False, allow_unicode=True),
        shown=shown,
        card=card,
        title=kind.title,
        paired=kind.paired,
        trained=bool(kind.players),
        hides=card.method in CYCLES,
        columns=_columns(card),
        data_licence=_licence_of(data),
        numbers=numbers,
        version=__version__,
    )


def _front(shown: Shown) -> dict[str, Any]:
    """The YAML that the Hub reads."""
    card = shown.card
    front: dict[str, Any] = {
        "library_name": "unpaired",
        "pipeline_tag": "image-to-image",
        "license": shown.license or UNKNOWN,
        "tags": ["unpaired", "image-to-image", "image-translation", "gan", card.method],
    }
    if sets := re.findall(r"hf://([\w.-]+/[\w.-]+|[\w.-]+)", card.data):
        front["datasets"] = list(dict.fromkeys(sets))
    return front


def _columns(card: Card) -> str:
    """What the columns of the sample grid show, as `training.samples` draws them."""
    shown = []
    for way, source, there, back in (
        ("x2y", "x", "G(x)", "F(G(x))"),
        ("y2x", "y", "F(y)", "G(F(y))"),
    ):
        if way in card.directions:
            shown += [source, there] + ([back] if len(card.directions) == 2 else [])
    return ", ".join(shown + (["the true y"] if KINDS[card.method].paired else []))


def _licence_of(data: str) -> str | None:
    """What is known of the pictures' licence."""
    if data.startswith("worldtiles:"):
        return WORLDTILES
    found = PAPER_SETS.get(data)
    return found.licence if found else None


def plain(text: object) -> str:
    """Text as Markdown that shows it as it is: nothing in it formats, links, or is HTML."""
    line = " ".join(str(text).split())
    return re.sub(r"([\\`*_\[\]<>#|~&$])", r"\\\1", line)


def numbers_of(run: Path, step: int) -> dict[str, Any] | None:
    """The tables of numbers.json, if it was made of this very step and says what its figures are.

    Returns: "held_out", and by direction "pictures", "findings" and "tables" of texts.
    """
    path = run / "numbers.json"
    try:
        if path.stat().st_size > LARGEST:
            return None
        numbers = json.loads(path.read_text(encoding="utf-8"))
        ours = [row for row, at in numbers["steps"].items() if at == step]
        if not ours:
            return None
        sides = {
            str(way): {
                "pictures": int(side["pictures"]),
                "findings": [str(line) for line in side["findings"]],
                "tables": _tables(side["scores"], numbers, ours[0]),
            }
            for way, side in numbers["directions"].items()
        }
        return {"held_out": bool(numbers["held_out"]), "sides": sides}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _tables(scores: dict[str, Any], numbers: dict[str, Any], ours: str) -> list[dict[str, Any]]:
    """One direction: a table per question. Raises: KeyError, TypeError, ... for what isn't ours."""
    figures, labels, tables = numbers["figures"], numbers["rows"], []
    shown = [row for row in labels if row in scores and row not in {"run", "best"} - {ours}]
    for question, asked in numbers["questions"].items():
        keys = [key for key in asked if any(scores[row].get(key) for row in shown)]
        if not keys:
            continue
        rows = [
            (
                "this model" if row == ours else str(labels[row]),
                [_cell(scores[row].get(key), int(figures[key]["digits"])) for key in keys],
            )
            for row in shown
            if any(scores[row].get(key) for key in keys)
        ]
        titles = [f"{figures[key]['title']} ({figures[key]['better']} is better)" for key in keys]
        tables.append({"question": str(question), "columns": titles, "rows": rows})
    return tables


def _cell(estimate: dict[str, float] | None, digits: int) -> str:
    """ "0.052 (0.044 to 0.059)": a figure and its interval."""
    if estimate is None:
        return "-"
    value, low, high = (f"{float(estimate[key]):.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"
