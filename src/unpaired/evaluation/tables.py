"""Our figures beside published ones: ranks, agreement, and a table in every format people need."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from unpaired.evaluation.metrics import METRICS, Scores
from unpaired.evaluation.pages import titled


@dataclass(frozen=True)
class Row:
    """One line: a method, or what stands below and above all methods."""

    key: str
    label: str
    scores: Scores
    """Of several seeds: the mean, less and plus one standard deviation."""
    seeds: int = 1
    ranked: bool = True
    """False: a floor or the ceiling."""
    published: Mapping[str, float] | None = None
    note: str = ""
    """Why there are no figures."""


@dataclass(frozen=True)
class Table:
    """One table of a paper, with our figures in it."""

    number: str
    title: str
    rows: tuple[Row, ...]
    columns: tuple[str, ...]
    """Keys of METRICS that we measured."""
    by: str
    """The column that ranks."""
    nets: Mapping[str, str | None]
    """Names of the feature net and the perceptual one, for the titles."""
    notes: tuple[str, ...] = ()
    """What a reader must know: data, budget, segmenter, counts."""

    def ranks(self, column: str) -> dict[str, tuple[int, bool]]:
        """(rank, tied) of each method by its key; 1 is the best.

        Tied: its interval overlaps that of the method just before or after it, so that another
        draw of pictures may well exchange them.
        """
        measured = [
            (row.key, e) for row in self.rows if row.ranked and (e := row.scores.get(column))
        ]
        sign = -1 if METRICS[column].better == "higher" else 1
        order = sorted(measured, key=lambda one: sign * one[1].value)
        near = [a.low <= b.high and b.low <= a.high for (_, a), (_, b) in pairwise(order)]
        return {
            key: (place + 1, near[place - 1 : place] == [True] or near[place : place + 1] == [True])
            for place, (key, _) in enumerate(order)
        }

    def published_ranks(self, column: str) -> dict[str, int]:
        """The rank of each method's published figure; equal figures share the better one."""
        figures = {
            row.key: row.published[column]
            for row in self.rows
            if row.published and column in row.published
        }
        sign = -1 if METRICS[column].better == "higher" else 1
        return {
            key: 1 + sum(sign * other < sign * value for other in figures.values())
            for key, value in figures.items()
        }


@dataclass(frozen=True)
class Agreement:
    """Whether our order of the methods is the paper's, in one column."""

    correlation: float | None
    """Spearman's, of the methods that both have; None for fewer than three, or no order at all."""
    contradicted: tuple[tuple[str, str], ...]
    """(a, b): the paper has a above b, we have b above a, and our intervals lie apart."""
    undecided: tuple[tuple[str, str], ...]
    """(a, b): the paper has a above b; our intervals overlap."""
    confirmed: tuple[tuple[str, str], ...]


def rank_agreement(table: Table, column: str) -> Agreement:
    """Compare the order of our figures in a column with that of the published ones."""
    sign = -1 if METRICS[column].better == "higher" else 1
    both = [
        (row.key, sign * row.published[column], row.scores[column])
        for row in table.rows
        if row.ranked and row.published and column in row.published and row.scores.get(column)
    ]
    found: dict[str, list[tuple[str, str]]] = {"contradicted": [], "undecided": [], "confirmed": []}
    for a, theirs_a, ours_a in both:
        for b, theirs_b, ours_b in both:
            if theirs_a >= theirs_b:
                continue
            assert ours_a is not None
            assert ours_b is not None
            apart = ours_a.low > ours_b.high or ours_b.low > ours_a.high
            same = sign * ours_a.value < sign * ours_b.value
            found["undecided" if not apart else "confirmed" if same else "contradicted"].append(
                (a, b)
            )
    correlation = None
    if len(both) > 2:
        ours = _ranked(np.array([sign * e.value for _, _, e in both if e is not None]))
        theirs = _ranked(np.array([published for _, published, _ in both]))
        if ours.std() > 0 and theirs.std() > 0:
            correlation = float(np.corrcoef(ours, theirs)[0, 1])
    return Agreement(correlation, **{kind: tuple(pairs) for kind, pairs in found.items()})


def _ranked(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, ties sharing their mean."""
    below = (values[:, None] > values).sum(1)
    equal = (values[:, None] == values).sum(1)
    ranks: np.ndarray = below + (equal + 1) / 2
    return ranks


def as_text(table: Table) -> str:
    """For a terminal; ours over its interval, the paper's figure behind it."""
    wide = max(len(row.label) for row in table.rows) + 2
    heads = [_head(table, column) for column in table.columns]
    widths = [
        max(len(head), *(len(_cell(row, column)) for row in table.rows)) + 2
        for head, column in zip(heads, table.columns)
    ]
    lines = [f"Table {table.number}. {table.title}", ""]
    lines.append(" " * wide + "".join(f"{h:>{w}}" for h, w in zip(heads, widths)) + f"{'rank':>8}")
    ranks = table.ranks(table.by)
    theirs = table.published_ranks(table.by)
    split = False
    for row in table.rows:
        if not row.ranked and not split:
            lines.append("-" * (wide + sum(widths) + 8))
            split = True
        cells = "".join(f"{_cell(row, c):>{w}}" for c, w in zip(table.columns, widths))
        note = f"  {row.note}" if row.note else ""
        lines.append(f"{row.label:<{wide}}{cells}{_rank(row.key, ranks, theirs):>8}{note}")
    lines += ["", *table.notes]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def as_markdown(table: Table) -> str:
    """A GitHub table; published figures in brackets."""
    heads = [_head(table, column) for column in table.columns]
    lines = [
        f"**Table {table.number}. {_md(table.title)}**",
        "",
        "| | " + " | ".join(_md(head) for head in heads) + " | rank |",
        "|---" * (len(heads) + 2) + "|",
    ]
    ranks, theirs = table.ranks(table.by), table.published_ranks(table.by)
    for row in table.rows:
        cells = [_cell(row, column) for column in table.columns]
        label = _md(row.label) if row.ranked else f"*{_md(row.label)}*"
        label += f" ({_md(row.note)})" if row.note else ""
        lines.append(f"| {label} | {' | '.join(cells)} | {_rank(row.key, ranks, theirs)} |")
    lines += ["", *(_md(note) for note in table.notes)]
    return "\n".join(lines) + "\n"


def as_html(table: Table) -> str:
    """A `table` element for the page, everything escaped."""
    heads = "".join(f'<th scope="col">{html.escape(_head(table, c))}</th>' for c in table.columns)
    ranks, theirs = table.ranks(table.by), table.published_ranks(table.by)
    lines = [
        '<div class="scroll"><table class="numbers"><thead><tr><th scope="col"></th>'
        f'{heads}<th scope="col">rank [paper]</th></tr></thead><tbody>'
    ]
    for row in table.rows:
        cells = "".join(f"<td>{_html_cell(row, column)}</td>" for column in table.columns)
        note = f" <small>{html.escape(row.note)}</small>" if row.note else ""
        lines.append(
            f'<tr class="{"method" if row.ranked else "real"}"><th scope="row">'
            f"{html.escape(row.label)}{note}</th>{cells}"
            f"<td>{html.escape(_rank(row.key, ranks, theirs)) or '–'}</td></tr>"
        )
    return "\n".join([*lines, "</tbody></table></div>"])


def _html_cell(row: Row, column: str) -> str:
    """Our figure large, its interval and the published figure small."""
    value, *rest = _cell(row, column).split(" ", 1) or [""]
    if not value:
        return "–"
    small = "".join(f" <small>{html.escape(part)}</small>" for part in rest)
    return f"{html.escape(value)}{small}"


def as_latex(table: Table) -> str:
    """For a paper: booktabs, one line per method, the published figures in small print."""
    columns = "".join("r" for _ in table.columns)
    heads = " & ".join(_tex(_head(table, column)) for column in table.columns)
    ranks, theirs = table.ranks(table.by), table.published_ranks(table.by)
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "  \\centering",
        f"  \\caption{{{_tex(table.title)}. {' '.join(_tex(note) for note in table.notes)}}}",
        f"  \\begin{{tabular}}{{l{columns}r}}",
        "    \\toprule",
        f"    & {heads} & rank \\\\",
        "    \\midrule",
    ]
    split = False
    for row in table.rows:
        if not row.ranked and not split:
            lines.append("    \\midrule")
            split = True
        cells = " & ".join(_tex(_cell(row, column)) for column in table.columns)
        lines.append(
            f"    {_tex(row.label)} & {cells} & {_tex(_rank(row.key, ranks, theirs))} \\\\"
        )
    lines += ["    \\bottomrule", "  \\end{tabular}", "\\end{table}", ""]
    return "\n".join(lines)


FIELDS = (
    *("table", "method", "label", "metric", "value", "low", "high", "error", "seeds"),
    *("rank", "tied", "published", "published_rank", "note"),
)


def as_csv(tables: Sequence[Table]) -> str:
    """One line per table, row and metric (RFC 4180)."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\r\n", restval="")
    writer.writeheader()
    for table in tables:
        for line in _flat(table):
            writer.writerow({k: "" if v is None else v for k, v in line.items()})
    return text.getvalue()


def as_json(tables: Sequence[Table]) -> dict[str, Any]:
    """Everything, for machines; by the number of the table."""
    return {
        table.number: {
            "title": table.title,
            "notes": list(table.notes),
            "by": table.by,
            "rows": _flat(table),
            "agreement": {
                column: asdict(rank_agreement(table, column))
                for column in table.columns
                if table.published_ranks(column)
            },
        }
        for table in tables
    }


def _flat(table: Table) -> list[dict[str, Any]]:
    lines = []
    for column in (*table.columns, *_published_only(table)):
        ranks, theirs = table.ranks(column), table.published_ranks(column)
        for row in table.rows:
            found = row.scores.get(column)
            published = (row.published or {}).get(column)
            if found is None and published is None:
                continue
            rank, tied = ranks.get(row.key, (None, None))
            lines.append(
                {
                    "table": table.number,
                    "method": row.key,
                    "label": row.label,
                    "metric": column,
                    **(asdict(found) if found else {}),
                    "seeds": row.seeds if found else None,
                    "rank": rank,
                    "tied": tied,
                    "published": published,
                    "published_rank": theirs.get(row.key),
                    "note": row.note,
                }
            )
    return lines


def _published_only(table: Table) -> list[str]:
    names = dict.fromkeys(name for row in table.rows for name in row.published or {})
    return [name for name in names if name not in table.columns]


def _head(table: Table, column: str) -> str:
    title = titled(METRICS[column], table.nets)
    return f"{title} [paper]" if table.published_ranks(column) else title


def _cell(row: Row, column: str) -> str:
    """ "0.52 (0.49-0.55) [0.17]", or what there is of it."""
    parts = []
    digits = METRICS[column].digits
    if (found := row.scores.get(column)) is not None:
        parts.append(f"{found.value:.{digits}f}")
        if row.seeds > 1:
            parts.append(f"± {found.error:.{digits}f}")
        else:
            parts.append(f"({found.low:.{digits}f}-{found.high:.{digits}f})")
    if row.published and column in row.published:
        parts.append(f"[{row.published[column]:.{digits}f}]")
    return " ".join(parts)


def _rank(key: str, ranks: Mapping[str, tuple[int, bool]], theirs: Mapping[str, int]) -> str:
    """ "2= [3]": our rank, tied; the paper's."""
    parts = []
    if key in ranks:
        rank, tied = ranks[key]
        parts.append(f"{rank}{'=' if tied else ''}")
    if key in theirs:
        parts.append(f"[{theirs[key]}]")
    return " ".join(parts)


def _md(text: str) -> str:
    for mark in "\\|*_`<>":
        text = text.replace(mark, f"\\{mark}")
    return text


def _tex(text: str) -> str:
    marks = {
        "\\": "\\textbackslash{}",
        **{mark: f"\\{mark}" for mark in "&%$#_{}"},
        "~": "\\textasciitilde{}",
        "^": "\\textasciicircum{}",
        "±": "$\\pm$",
        "→": "$\\to$",
        "<": "$<$",
        ">": "$>$",
    }
    return "".join(marks.get(letter, letter) for letter in text)
