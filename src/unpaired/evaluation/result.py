"""A run judged by one call, and what was found as an object that shows itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unpaired.data.domains import DataSet
from unpaired.evaluation import instruments as measuring
from unpaired.evaluation.estimates import Estimate
from unpaired.evaluation.instruments import Instruments
from unpaired.evaluation.judging import Judged
from unpaired.evaluation.metrics import Scores
from unpaired.evaluation.reporting.pages import number_tables, plain_tables, template
from unpaired.evaluation.reporting.report import write_report
from unpaired.methods.base import Direction
from unpaired.training.config import read_yaml
from unpaired.training.finding import find_checkpoint


@dataclass(frozen=True)
class Result:
    """What `evaluate` found. Printed it is a table; in a notebook the same table with bars."""

    page: Path
    """The report: pictures, figures, faults, curves, in one HTML file."""
    judged: Judged
    """Everything behind the figures: pictures as arrays, figures per picture, findings."""

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.judged.run

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The ways that were judged: "x2y", "y2x"."""
        return tuple(side.direction for side in self.judged.evaluation.sides)

    @property
    def scores(self) -> dict[Direction, dict[str, Scores]]:
        """Every figure: `result.scores["x2y"]["run"]["kid"]`.

        By direction; then by row: "run", "best" if validation chose another checkpoint, the
        baselines "input" and "colour", the floor "real", and of label images others (`pages.ROWS`);
        then by metric (`metrics.METRICS`, which has units and which way is better). A figure is an
        `Estimate` with `value`, `low` and `high` (95% interval over the choice of pictures) and
        `error` (standard error), or None where it can't be measured.
        """
        return {side.direction: side.scores for side in self.judged.evaluation.sides}

    def figure(
        self, metric: str = "kid", direction: Direction | None = None, row: str = "run"
    ) -> Estimate:
        """One figure with its interval.

        Args: direction: None: the first that was judged.
        Raises: KeyError that names what there is, if it was not measured.
        """
        rows = self.scores[direction or self.directions[0]]
        found = rows.get(row, {}).get(metric)
        if found is None:
            measured = [f"{r}: {', '.join(k for k in s if s[k])}" for r, s in rows.items()]
            raise KeyError(f'no "{metric}" of "{row}"; measured are {"; ".join(measured)}')
        return found

    @property
    def findings(self) -> dict[Direction, list[str]]:
        """What goes wrong, a sentence each; empty lists if nothing was found."""
        sides = self.judged.evaluation.sides
        return {side.direction: [found.line for found in side.findings] for side in sides}

    def numbers(self) -> dict[str, Any]:
        """All of it as plain values, as in numbers.json."""
        return self.judged.numbers()

    def __str__(self) -> str:
        """The tables for a terminal."""
        evaluation = self.judged.evaluation
        names, lines = evaluation.nets, []
        for side in evaluation.sides:
            lines.append(f"{self.run}, {side.direction}, {len(side.names)} pictures")
            lines.append(plain_tables(side.scores, names))
        return "\n".join(lines)

    def __repr__(self) -> str:
        ways = ", ".join(self.directions)
        return f"<{type(self).__name__} of {self.run}: {ways}; report in {self.page}>"

    def _repr_html_(self) -> str:
        """The tables for a notebook; what is put in is escaped."""
        evaluation = self.judged.evaluation
        names = evaluation.nets
        sides = [
            {
                "title": f"{self.run}, {side.direction}, {len(side.names)} pictures",
                "tables": number_tables(side.scores, names),
                "findings": [found.line for found in side.findings],
            }
            for side in evaluation.sides
        ]
        return template("result.html.j2").render(
            sides=sides, page=str(self.page), held_out=evaluation.held_out
        )


def evaluate(
    run: Path | str,
    *,
    instruments: Instruments | None = None,
    checkpoint: str = "latest",
    dataset: DataSet | None = None,
    about: str | None = None,
) -> Result:
    """Translate a run's test pictures, measure them beside honest baselines, write the report.

    Writes `report.html`, `numbers.json` and `translations/` into the run folder.

    Args:
        run: a run folder.
        instruments: what to measure with, from `unpaired.instruments(...)`: the feature net, a
            perceptual distance, a segmenter for the FCN score, how many pictures. None: KID and its
            like over EfficientNet-Lite0, which comes along, on up to 500 pictures per domain; and,
            of a named set with label images, its classes. Calls that are to be compared need the
            same ones.
        checkpoint: "latest" (with the best on validation beside it, if that is another), "best",
            or a step number.
        dataset: other pictures than the run's own.
        about: a sentence at the head of the report.
    Returns: the figures with 95% intervals, and what is behind them.
    Raises: UserError if `run` is no run, its pictures are no longer there, a checkpoint is damaged,
        or the folder can't be written.
    Source: KID: Binkowski et al. 2018; FID: Heusel et al. 2017; precision and recall: Kynkäänniemi
        et al. 2019; FCN score: Isola et al. 2017, and Zhu et al. 2017, sec. 5.1.
    """
    run = Path(run)
    find_checkpoint(run, checkpoint)  # what is wrong with the run is said first
    measures = instruments or measuring.instruments(data=read_yaml(run / "config.yaml").data)
    return Result(*write_report(run, measures, checkpoint=checkpoint, dataset=dataset, about=about))
