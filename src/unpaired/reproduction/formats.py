"""A table of the paper in every format that people need."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from unpaired.evaluation.metrics import METRICS, titled
from unpaired.reproduction.tables import Rank, Row, Table, rank_agreement


def as_text(table: Table) -> str:
    """For a terminal; ours over its interval, the paper's figure behind it."""
    heads, cells = _grid(table)
    wide = max((len(row.label) for row in table.rows), default=0) + 2
    widths = [max(map(len, column)) + 2 for column in zip(heads, *cells)]
    lines = [f"Table {table.number}. {table.title}", ""]
    lines.append(" " * wide + "".join(f"{h:>{w}}" for h, w in zip(heads, widths)))
    split = False
    for row, own in zip(table.rows, cells):
        if not row.ranked and not split:
            lines.append("-" * (wide + sum(widths)))
            split = True
        note = f"  {row.note}" if row.note else ""
        lines.append(
            f"{row.label:<{wide}}{''.join(f'{c:>{w}}' for c, w in zip(own, widths))}{note}"
        )
    lines += ["", *table.notes]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def as_markdown(table: Table) -> str:
    """A GitHub table; published figures in brackets."""
    heads, cells = _grid(table)
    lines = [
        f"**Table {table.number}. {_md(table.title)}**",
        "",
        "| | " + " | ".join(_md(head) for head in heads) + " |",
        "|---" * (len(heads) + 1) + "|",
    ]
    for row, own in zip(table.rows, cells):
        label = _md(row.label) if row.ranked else f"*{_md(row.label)}*"
        label += f" ({_md(row.note)})" if row.note else ""
        lines.append(f"| {label} | {' | '.join(own)} |")
    lines += ["", *(_md(note) for note in table.notes)]
    return "\n".join(lines) + "\n"


def as_html(table: Table) -> str:
    """A `table` element for the page, everything escaped."""
    heads, cells = _grid(table)
    titles = "".join(f'<th scope="col">{html.escape(head)}</th>' for head in heads)
    lines = [
        '<div class="scroll"><table class="numbers"><thead><tr><th scope="col"></th>'
        f"{titles}</tr></thead><tbody>"
    ]
    for row, own in zip(table.rows, cells):
        note = f" <small>{html.escape(row.note)}</small>" if row.note else ""
        lines.append(
            f'<tr class="{"method" if row.ranked else "real"}"><th scope="row">'
            f"{html.escape(row.label)}{note}</th>"
            f"{''.join(f'<td>{_html_cell(text)}</td>' for text in own)}</tr>"
        )
    return "\n".join([*lines, "</tbody></table></div>"])


def _html_cell(text: str) -> str:
    """Our figure large, its interval and the published figure small."""
    ours, _, rest = ("", "", text) if text.startswith("[") else text.partition(" ")
    small = f" <small>{html.escape(rest)}</small>" if rest else ""
    return f"{html.escape(ours) or '–'}{small}"


def as_latex(table: Table) -> str:
    """For a paper: booktabs, one line per method, the published figures in small print."""
    heads, cells = _grid(table)
    notes = [*table.notes, *(f"{row.label}: {row.note}." for row in table.rows if row.note)]
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "  \\centering",
        f"  \\caption{{{_tex(table.title)}. {' '.join(_tex(note) for note in notes)}}}",
        f"  \\begin{{tabular}}{{l{'r' * len(heads)}}}",
        "    \\toprule",
        f"    & {' & '.join(_tex(head) for head in heads)} \\\\",
        "    \\midrule",
    ]
    split = False
    for row, own in zip(table.rows, cells):
        if not row.ranked and not split:
            lines.append("    \\midrule")
            split = True
        lines.append(f"    {' & '.join(map(_tex, (row.label, *own)))} \\\\")
    lines += ["    \\bottomrule", "  \\end{tabular}", "\\end{table}", ""]
    return "\n".join(lines)


FIELDS = (
    *("table", "method", "label", "metric", "value", "low", "high", "error", "seeds"),
    *("rank", "tied", "published", "common_rank", "published_rank", "note"),
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
                if table.published(column)
            },
        }
        for table in tables
    }


def _flat(table: Table) -> list[dict[str, Any]]:
    lines = []
    for column in (*table.columns, *_published_only(table)):
        both = table.common(column)
        ranks, among = table.ranks(column), table.ranks(column, both)
        theirs = table.published_ranks(column, both or None)
        for row in table.rows:
            found = row.scores.get(column)
            published = (row.published or {}).get(column)
            if found is None and published is None:
                continue
            rank, tied = ranks.get(row.key, (None, None))
            common, _ = among.get(row.key, (None, None))
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
                    "common_rank": common,
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
    return f"{title} [paper]" if table.published(column) else title


def _cell(row: Row, column: str) -> str:
    """ "0.52 (0.49-0.55) [0.17]", or what there is of it."""
    parts = []
    digits = METRICS[column].digits
    if (found := row.scores.get(column)) is not None:
        parts.append(f"{found.value:.{digits}f}")
        if row.seeds > 1:
            parts.append(f"± {found.error:.{digits}f}")
        else:
            low, high = f"{found.low:.{digits}f}", f"{found.high:.{digits}f}"
            between = " to " if "-" in low + high else "-"  # a minus beside a dash can't be read
            parts.append(f"({low}{between}{high})")
    if row.published and column in row.published:
        parts.append(f"[{row.published[column]:.{digits}f}]")
    return " ".join(parts)


def _grid(table: Table) -> tuple[list[str], list[list[str]]]:
    """(heads, cells by row): every column, and the ranks behind them."""
    heads = [_head(table, column) for column in table.columns]
    cells = [[_cell(row, column) for column in table.columns] for row in table.rows]
    for head, places in _places(table).items():
        heads.append(head)
        for row, own in zip(table.rows, cells):
            own.append(places.get(row.key, ""))
    return heads, cells


def _places(table: Table) -> dict[str, dict[str, str]]:
    """Columns of ranks by their heads: "2=" ours and tied, "[3]" the paper's.

    The paper has no rank for methods that came later, nor we for one that failed: where the two
    sets differ, a column of its own ranks those that both have.
    """
    ours, both = table.ranks(table.by), table.common(table.by)
    among = table.ranks(table.by, both)
    theirs = table.published_ranks(table.by, both or None)

    if not theirs or not ours or len(both) == len(ours):
        head = "rank [paper]" if theirs else "rank"
        return {head: {row.key: _rank(row.key, ours, theirs) for row in table.rows}}
    return {
        "rank": {row.key: _rank(row.key, ours, {}) for row in table.rows},
        "of the paper's [paper]": {row.key: _rank(row.key, among, theirs) for row in table.rows},
    }


def _rank(key: str, ours: Mapping[str, Rank], theirs: Mapping[str, int]) -> str:
    """ "2= [3]": our rank, tied; the paper's."""
    parts = []
    if key in ours:
        parts.append(f"{ours[key].place}{'=' if ours[key].tied else ''}")
    if key in theirs:
        parts.append(f"[{theirs[key]}]")
    return " ".join(parts)


def _md(text: str) -> str:
    text = " ".join(text.split())
    for mark in "\\|*_`<>":
        text = text.replace(mark, f"\\{mark}")
    return text


def _tex(text: str) -> str:
    text = " ".join(text.split())
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
