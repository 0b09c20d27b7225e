"""A run as one page: pictures, curves, numbers, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unpaired.data.domains import DataSet
from unpaired.evaluation.features import EfficientNetLite0
from unpaired.evaluation.instruments import Instruments
from unpaired.evaluation.judging import Judged, judge, save
from unpaired.evaluation.metrics import METRICS, titled
from unpaired.evaluation.reporting.curves import loss_curves, validation_curve
from unpaired.evaluation.reporting.direction import direction_of, strip
from unpaired.evaluation.reporting.facts import Facts, gather_facts, reference_runs
from unpaired.evaluation.reporting.pages import template, write_page
from unpaired.training.progress import clock
from unpaired.training.tracking import read_findings, read_metrics, summed_up


def write_report(
    run: Path,
    instruments: Instruments | None = None,
    *,
    checkpoint: str = "latest",
    dataset: DataSet | None = None,
    about: str | None = None,
) -> tuple[Path, Judged]:
    """Judge a run; write `report.html`, `numbers.json` and `translations/` into its folder.

    Args:
        instruments: None: KID over EfficientNet-Lite0, which needs no download.
        checkpoint: "latest" (and "best" beside it, if validation chose another), "best", a step.
        dataset: None: the data the run was trained on.
        about: a sentence at the head of the page.
    Returns: (the page, what was found).
    Raises: UserError if `run` is no run, its data are no longer there, or can't be judged so.
    """
    judged = judge(
        run,
        instruments or Instruments(EfficientNetLite0()),
        checkpoint=checkpoint,
        dataset=dataset,
    )
    save(judged)
    page = judged.run / "report.html"
    facts = gather_facts(judged.run, judged.folder, judged.translators["run"], judged.config)
    write_page(page, render(judged, facts, reference_runs(facts.data), about))
    return page, judged


def render(
    judged: Judged, facts: Facts, references: list[dict[str, Any]], about: str | None = None
) -> str:
    """The whole page as text: no address in it leads anywhere but into itself."""
    scored, run = judged.evaluation, judged.run
    metrics = read_metrics(run)
    names = scored.nets
    return template("report.html.j2").render(
        facts=facts,
        about=about,
        metric=titled(METRICS["kid"], names),
        names=names,
        segmenter=scored.segmenter,
        steps={row: own.card.step for row, own in judged.translators.items()},
        held_out=scored.held_out,
        sides=[direction_of(side, scored, facts) for side in scored.sides],
        strips=[strip(run, side, facts, metrics, len(scored.sides)) for side in scored.sides],
        curves=loss_curves(metrics),
        validation=validation_curve(metrics, _best_step(judged), read_findings(run)),
        history=summed_up(read_findings(run)),
        references=references,
        clock=clock,
    )


def _best_step(judged: Judged) -> int | None:
    """The step that the validation share chose; None if none did."""
    if "best" in judged.translators:
        return judged.translators["best"].card.step
    return judged.translators["run"].card.step if (judged.run / "best").is_file() else None
