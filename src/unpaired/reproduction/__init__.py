"""The paper's tables by one command: train what is missing, judge all, print both figures."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from unpaired.data.fingerprint import fingerprint
from unpaired.errors import UserError
from unpaired.evaluation.entries import Entry
from unpaired.evaluation.instruments import Instruments, instruments
from unpaired.evaluation.reporting.comparison import write_comparison
from unpaired.evaluation.reporting.pages import write_page
from unpaired.evaluation.segmenting.ceiling import classes_of_data, make_segmenter
from unpaired.evaluation.segmenting.classes import Classes
from unpaired.evaluation.segmenting.labelled import open_pairs, side_of_labels
from unpaired.evaluation.segmenting.trained import TrainedSegmenter
from unpaired.evaluation.valid_json import json_text
from unpaired.evaluation.views import seen_size
from unpaired.reproduction.configs import check_tables, config_of, contenders_of
from unpaired.reproduction.contenders import CONTENDERS, TABLES, TO_PHOTO
from unpaired.reproduction.formats import (
    as_csv,
    as_html,
    as_json,
    as_latex,
    as_markdown,
    as_text,
)
from unpaired.reproduction.rows import fcn_table, human_tables
from unpaired.reproduction.tables import Table
from unpaired.reproduction.training import Training, complete, judge_missing, plan, train_missing
from unpaired.telling import note
from unpaired.training.config import TrainConfig
from unpaired.training.shares import data_of

__all__ = ["CONTENDERS", "TABLES", "Reproduction", "reproduce"]


@dataclass(frozen=True)
class Reproduction:
    """What came of it; printed it is the tables, in a notebook the same with bars."""

    tables: tuple[Table, ...]
    """Every row with its published figures and ours."""
    text: str
    """The tables for a terminal."""
    page: Path
    """The report, with pictures."""
    numbers: dict[str, Any]
    """Every figure, with what it was measured, and which runs have no end, and why."""

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        named = ", ".join(f"Table {table.number}" for table in self.tables)
        return f"<{type(self).__name__} of {named}; report in {self.page}>"

    def _repr_html_(self) -> str:
        return "\n".join(
            f"<h4>Table {table.number}. {escape(table.title)}</h4>{as_html(table)}"
            for table in self.tables
        )


def _usual(data: str | None) -> Instruments:
    return instruments(data=data)


def reproduce(
    tables: Sequence[str | int],
    configs: Mapping[str, TrainConfig[Any]] | None = None,
    out: Path | str = "runs/reproduce",
    *,
    methods: bool = False,
    seeds: int = 1,
    measure: Callable[[str | None], Instruments] = _usual,
    quiet: bool = False,
) -> Reproduction:
    """Train what is missing, judge it, write the tables and a page into `out`.

    Everything is kept in `out`: `runs/`, `segmenter/`, `tables.{txt,md,csv,json,tex}`,
    `report.html`; a second call trains and measures only what is missing or was changed.

    Args:
        tables: numbers of the paper's tables (Zhu et al. 2017): 1 is the study with people; 2 and
            3 are the methods, labels to photo and photo to labels; 4 and 5 the ablations, likewise.
        configs: by contender (CONTENDERS), alike in all but what makes them different methods.
            None: all that stand in the tables, as `reproduction.configs.config_of` gives them: the
            embedded tiles, preset small, 2000 steps.
        out: a folder, new, or of an earlier call.
        methods: show all of `configs` in every table, not only those that the paper has there.
        seeds: how often each method is trained.
        measure: gives the instruments for a data set, once they are needed. Without a segmenter
            one is trained on the real training pairs.
    Returns: the tables, and every figure with its interval.
    Raises: UserError for what the caller can mend, before hours of work where possible;
        Interrupted after Ctrl-C or SIGTERM: the same call goes on. A run that diverged is none of
        these: it is left out, and `numbers["failed"]` says so.
    """
    numbered, out = [str(table) for table in tables], Path(out)
    check_tables(numbered)
    if configs is None:
        configs = {key: config_of(key) for key in contenders_of(numbered)}
    there = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UserError(f'--out "{out}" can\'t be a folder to write to; give another')

    def say(text: str) -> None:
        if not quiet:
            note(text)

    shown = {
        number: [key for key in configs if methods or key in TABLES[number]]
        for number in numbered
        if number in TO_PHOTO
    }
    made = human_tables() if "1" in numbered else []
    found: dict[str, dict[str, Any]] = {}
    failed: dict[Path, str] = {}
    trainings: list[Training] = []
    if shown:
        first = next(iter(configs.values()))
        measures = measure(first.data)
        known = measures.classes or classes_of_data(first.data or "", None)
        pairs = data_of(first, 3, 3, paired=True)
        labels_in_x = side_of_labels(pairs, known) == "x"
        trainings = plan(shown, configs, out, seeds, labels_in_x)
        for training in trainings:  # what doesn't fit is said before hours of work
            complete(training)
        if measures.segmenter is None:
            own = _own_segmenter(out / "segmenter", first, known, say)
            measures = replace(measures, classes=known, segmenter=own)
        failed = train_missing(trainings, say, quiet=quiet)
        why: dict[str, list[str]] = {}
        for training in trainings:
            if training.folder in failed:
                why.setdefault(training.contender, []).append(failed[training.folder])
        trainings = [one for one in trainings if one.folder not in failed]
        found = judge_missing(trainings, measures, say)
        nets = {key: measures.names()[key] for key in ("features", "perceptual")}
        reader = measures.segmenter.name if measures.segmenter else ""
        made += [
            fcn_table(number, keys, configs, trainings, why, labels_in_x, nets, reader)
            for number, keys in shown.items()
        ]
    text = "\n".join(as_text(table) for table in made)
    numbers = {
        "tables": as_json(made),
        "runs": found,
        "failed": {folder.name: why for folder, why in failed.items()},
    }
    out.mkdir(parents=True, exist_ok=True)
    write_page(out / "tables.txt", text)
    write_page(out / "tables.md", "\n".join(as_markdown(table) for table in made))
    write_page(out / "tables.csv", as_csv(made))
    write_page(out / "tables.tex", "\n".join(as_latex(table) for table in made))
    write_page(out / "tables.json", json_text(numbers))
    page = out / "report.html"
    blocks = [
        {"title": f"Table {t.number}. {t.title}", "html": as_html(t), "notes": t.notes}
        for t in made
    ]
    entries = [
        Entry(CONTENDERS[key].label, tuple(t.folder for t in trainings if t.contender == key))
        for key in configs
    ]
    entries = [entry for entry in entries if entry.runs]
    write_comparison(page, entries, title="The paper's tables", tables=blocks)
    return Reproduction(tuple(made), text, page, numbers)


def _own_segmenter(
    folder: Path, config: TrainConfig[Any], classes: Classes, say: Callable[[str], None]
) -> TrainedSegmenter:
    """The one that was trained on these real training pairs, so and not otherwise; trained now if
    there is none.

    Raises: UserError if there is another.
    """
    if config.data is None:
        raise UserError("--x and --y are given: train a segmenter first and give it as --segmenter")
    size = seen_size(data_of(config, 3, 3, paired=True), config.images, config.size)
    rotate = config.images.rotate or config.data.startswith("worldtiles:")
    if (folder / "segmenter.json").is_file():
        found = TrainedSegmenter.load(folder)
        card = found.card
        same = {
            "pictures": card.data_key == fingerprint(open_pairs(config.data)),
            "classes": card.classes.key == classes.key,
            "size": card.size == size,
            "turns": card.rotate == rotate,
            "seed": card.training.get("seed") == config.seed,
        }
        if not all(same.values()):
            others = " and ".join(name for name, fits in same.items() if not fits)
            raise UserError(
                f'"{folder}" holds a segmenter that was trained with other {others}; move it away, '
                "or give another --out"
            )
        return found
    say("training the segmenter on the real pairs")
    return make_segmenter(config.data, folder, classes, size=size, rotate=rotate, seed=config.seed)
