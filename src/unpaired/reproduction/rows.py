"""From the numbers of runs to the rows of a table of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unpaired.evaluation.entries import Entry, Sighting, combined_scores, sightings
from unpaired.evaluation.metrics import ROWS
from unpaired.evaluation.published import PUBLISHED, PublishedTable
from unpaired.methods import METHODS
from unpaired.methods.base import Direction
from unpaired.reproduction.contenders import CONTENDERS
from unpaired.reproduction.tables import Row, Table, rank_agreement
from unpaired.reproduction.training import Training
from unpaired.training.config import TrainConfig

FLOORS = ("majority", "lookup", "input", "colour", "ceiling")
"""Rows that stand below the methods: what needs no learning of shapes, and what reading allows."""


def human_tables() -> list[Table]:
    """Table 1, both halves: the published figures; ours would come from a study with people."""
    tables = []
    for number in ("1a", "1b"):
        paper = PUBLISHED[number]
        rows = tuple(
            Row(key, CONTENDERS[key].label, {}, published=dict(zip(paper.columns, figures)))
            for key, figures in paper.rows.items()
        )
        spread = ", ".join(
            f"{CONTENDERS[key].label} {one[0]:.1f}" for key, one in paper.spreads.items()
        )
        notes = (
            f"Published [in brackets]: {paper.about}; plus-minus {spread}.",
            "Our cells stay empty: they need people. To ask some: unpaired study create.",
        )
        tables.append(Table(number, paper.title, rows, paper.columns, "fooled", {}, notes))
    return tables


def fcn_table(
    number: str,
    contenders: Sequence[str],
    configs: Mapping[str, TrainConfig[Any]],
    trainings: Sequence[Training],
    failed: Mapping[str, Sequence[str]],
    labels_in_x: bool,
    nets: Mapping[str, str | None],
    segmenter: str,
) -> Table:
    """One of the tables 2 to 5, from the numbers that the runs' folders hold.

    Args:
        contenders: its rows.
        trainings: the runs that have an end.
        failed: why others have none, by contender, one line per run.
    """
    paper = PUBLISHED[number]
    way: Direction = "x2y" if paper.to_photo == labels_in_x else "y2x"
    rows = []
    seen: list[Sighting] = []
    for key in contenders:
        entry = Entry(key, tuple(t.folder for t in trainings if t.contender == key))
        own = sightings(entry, way, configs[key].swap)
        seen += own
        figures = paper.rows.get(key)
        rows.append(
            Row(
                key,
                CONTENDERS[key].label,
                combined_scores(own, "run"),
                seeds=max(1, len(own)),
                published=None if figures is None else dict(zip(paper.columns, figures)),
                note=_ended(failed.get(key, ()), len(own)),
            )
        )
    for name in FLOORS:
        if seen and name in seen[0].scores:
            rows.append(Row(name, ROWS[name], combined_scores(seen[:1], name), ranked=False))
    columns = [c for c in (*paper.columns, "kid", "l1") if any(row.scores.get(c) for row in rows)]
    table = Table(number, paper.title, tuple(rows), tuple(columns), "class_iou", nets)
    return replace(
        table,
        notes=(
            *_notes(paper, {key: configs[key] for key in contenders}, seen, segmenter),
            *_order(table),
        ),
    )


def _ended(failures: Sequence[str], judged: int) -> str:
    """What to say of trainings that have no end."""
    if not failures:
        return ""
    share = f"{len(failures)} of {len(failures) + judged} trainings failed: " if judged else ""
    return share + failures[0]


def _notes(
    paper: PublishedTable,
    configs: Mapping[str, TrainConfig[Any]],
    seen: Sequence[Sighting],
    segmenter: str,
) -> list[str]:
    """What a reader must know to read the figures."""
    first = next(iter(configs.values()))
    seeds = sorted({one.seed for one in seen})
    data = first.data or ""
    data = Path(data).name if Path(data).is_dir() else data
    said = {key: _made(key, config) for key, config in configs.items()}
    alike: dict[str, list[str]] = {}
    for key, text in said.items():
        alike.setdefault(text, []).append(CONTENDERS[key].label)
    made = (
        f"every training had {next(iter(alike))}"
        if len(alike) == 1
        else "; ".join(f"{', '.join(names)} had {text}" for text, names in alike.items())
    )
    one_way = [
        CONTENDERS[key].label
        for key, config in configs.items()
        if len(METHODS[config.method].directions) == 1
    ]
    notes = [
        f"Ours: {data}, {seen[0].pictures if seen else 0} test pictures; {made}, seed "
        f"{', '.join(map(str, seeds))}; last checkpoints.",
    ]
    if one_way and len(one_way) < len(configs):
        notes.append(
            f"{', '.join(one_way)}: trained once per direction, so each of them has the budget "
            "that the others share between two directions."
        )
    notes.append(
        f"Photos were read by: {segmenter}. Its own score on the real test photos is the last row."
    )
    if len(seeds) > 1:
        notes.append(
            "Figures are means over the seeds, ± their standard deviation; two methods tie if the "
            "95% intervals of their means overlap (Student's, wide for few seeds)."
        )
    else:
        notes.append(
            "In round brackets 95% intervals over the choice of test pictures; another seed may "
            "move a figure further than that."
        )
    notes.append(
        f"Published, in square brackets: {paper.about}. Figures don't compare; the order may."
    )
    return notes


def _made(contender: str, config: TrainConfig[Any]) -> str:
    """Budget and settings of a training, without what makes its method."""
    (unit, amount), *_ = config.length.items()
    own = CONTENDERS[contender].presets
    shared = "+".join(p for p in (config.preset or "").split("+") if p and p not in own)
    settings = f"preset {shared}" if shared else "its paper's settings"
    return f"{amount:g} {unit} of {config.batch} pictures per domain, {settings}"


def _order(table: Table) -> list[str]:
    """Whether the paper's order holds, in words."""
    found = rank_agreement(table, table.by)
    names = {row.key: row.label for row in table.rows}
    pairs = len(found.confirmed) + len(found.contradicted) + len(found.undecided)
    if not pairs:
        return []
    text = (
        "Rank by class IOU; = marks an interval that overlaps a neighbour's. Of the paper's "
        f"{pairs} orders of two methods, ours confirms {len(found.confirmed)}, contradicts "
        f"{len(found.contradicted)}, and can't tell {len(found.undecided)}"
    )
    if found.correlation is not None:
        text += f" (rank correlation {found.correlation:.2f})"
    if found.contradicted:
        text += ". Contradicted: " + "; ".join(
            f"{names[b]} is above {names[a]}" for a, b in found.contradicted
        )
    return [text + "."]
