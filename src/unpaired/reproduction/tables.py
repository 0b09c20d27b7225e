"""Our figures beside published ones: rows, ranks, and whether the orders agree."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise, permutations
from typing import Literal, NamedTuple

import numpy as np

from unpaired.evaluation.estimates import Estimate
from unpaired.evaluation.metrics import METRICS, Scores


@dataclass(frozen=True)
class Row:
    """One line: a method, or what stands below and above all methods."""

    key: str
    label: str
    scores: Scores
    """Of several seeds: their mean with its 95% interval; the error is their deviation."""
    seeds: int = 1
    ranked: bool = True
    """False: a floor or the ceiling."""
    published: Mapping[str, float] | None = None
    note: str = ""
    """Why there are no figures."""


class Rank(NamedTuple):
    """1 is the best."""

    place: int
    tied: bool


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

    def measured(self, column: str) -> dict[str, Estimate]:
        """Our figures of a column by the method's key: no floors, nothing that isn't finite."""
        return {
            row.key: e
            for row in self.rows
            if row.ranked and (e := row.scores.get(column)) is not None and np.isfinite(e.value)
        }

    def published(self, column: str) -> dict[str, float]:
        """The paper's figures of a column, by the method's key."""
        return {
            row.key: row.published[column]
            for row in self.rows
            if row.published and column in row.published
        }

    def common(self, column: str) -> list[str]:
        """The methods of which there are both; only among them do the two orders compare."""
        theirs = self.published(column)
        return [key for key in self.measured(column) if key in theirs]

    def ranks(self, column: str, among: Collection[str] | None = None) -> dict[str, Rank]:
        """Our rank of each method by its key.

        Tied: its interval overlaps that of the method just before or after it, so that another
        draw may well exchange them.

        Args: among: only these count; None: all that were measured.
        """
        figures = {
            key: e for key, e in self.measured(column).items() if among is None or key in among
        }
        better = METRICS[column].better
        places = placed({key: e.value for key, e in figures.items()}, better)
        order = sorted(figures, key=lambda key: places[key])
        tied = set()
        for one, other in pairwise(order):
            a, b = figures[one], figures[other]
            if a.low <= b.high and b.low <= a.high:
                tied |= {one, other}
        return {key: Rank(places[key], key in tied) for key in order}

    def published_ranks(self, column: str, among: Collection[str] | None = None) -> dict[str, int]:
        """The rank of each method's published figure."""
        figures = self.published(column)
        chosen = {key: v for key, v in figures.items() if among is None or key in among}
        return placed(chosen, METRICS[column].better)


def placed(figures: Mapping[str, float], better: Literal["lower", "higher"]) -> dict[str, int]:
    """Ranks from 1, the best; equal figures share the better one."""
    sign = -1 if better == "higher" else 1
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
    ours, theirs = table.measured(column), table.published(column)
    both = table.common(column)
    found: dict[str, list[tuple[str, str]]] = {"contradicted": [], "undecided": [], "confirmed": []}
    for a, b in permutations(both, 2):
        if sign * theirs[a] >= sign * theirs[b]:
            continue
        apart = ours[a].low > ours[b].high or ours[b].low > ours[a].high
        same = sign * ours[a].value < sign * ours[b].value
        found["undecided" if not apart else "confirmed" if same else "contradicted"].append((a, b))
    correlation = None
    if len(both) > 2:
        a_ranks = _ranked(np.array([ours[key].value for key in both]))
        b_ranks = _ranked(np.array([theirs[key] for key in both]))
        if a_ranks.std() > 0 and b_ranks.std() > 0:
            correlation = float(np.corrcoef(a_ranks, b_ranks)[0, 1])
    return Agreement(correlation, **{kind: tuple(pairs) for kind, pairs in found.items()})


def _ranked(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, ties sharing their mean."""
    below = (values[:, None] > values).sum(1)
    equal = (values[:, None] == values).sum(1)
    ranks: np.ndarray = below + (equal + 1) / 2
    return ranks
