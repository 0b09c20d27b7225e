"""Ranks, ties, agreement with the paper, and a table in every format."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unpaired.evaluation.estimates import Estimate
from unpaired.evaluation.published import PUBLISHED
from unpaired.reproduction.formats import (
    as_csv,
    as_html,
    as_json,
    as_latex,
    as_markdown,
    as_text,
)
from unpaired.reproduction.tables import Row, Table, rank_agreement

NETS = {"features": "Net", "perceptual": None}


def row(key, value, half=0.01, paper=None, metric="class_iou", **more):
    published = None if paper is None else {metric: paper}
    scores = {metric: Estimate(value, value - half, value + half, half / 2)}
    return Row(key, key.upper(), scores, published=published, **more)


def table(*rows, columns=("class_iou",), by="class_iou", notes=()):
    return Table("2", "Methods & more_1", rows, columns, by, NETS, notes)


def test_higher_is_better_for_accuracy_and_lower_for_distances():
    accuracy = table(row("a", 0.1), row("b", 0.3), row("c", 0.2))
    assert {k: rank for k, (rank, _) in accuracy.ranks("class_iou").items()} == {
        "a": 3,
        "b": 1,
        "c": 2,
    }
    rows = [row(key, value, metric="kid") for key, value in (("a", 0.1), ("b", 0.3), ("c", 0.2))]
    distance = table(*rows, columns=("kid",), by="kid")
    assert {k: rank for k, (rank, _) in distance.ranks("kid").items()} == {"a": 1, "b": 3, "c": 2}


def test_neighbours_whose_intervals_overlap_are_tied_and_floors_have_no_rank():
    made = table(
        row("a", 0.50), row("b", 0.49), row("c", 0.30), row("d", 0.10), row("f", 0.9, ranked=False)
    )
    assert made.ranks("class_iou") == {
        "a": (1, True),
        "b": (2, True),
        "c": (3, False),
        "d": (4, False),
    }


def test_equal_published_figures_share_the_better_rank():
    made = table(row("a", 0.5, paper=0.07), row("b", 0.4, paper=0.07), row("c", 0.3, paper=0.16))
    assert made.published_ranks("class_iou") == {"a": 2, "b": 2, "c": 1}


def test_equal_figures_of_ours_share_the_better_rank_and_nan_has_none():
    made = table(row("a", 0.5), row("b", 0.5), row("c", 0.3), row("d", float("nan")))
    assert made.ranks("class_iou") == {"a": (1, True), "b": (1, True), "c": (3, False)}
    assert "d" not in made.ranks("class_iou")


def test_the_two_orders_are_ranked_among_the_methods_that_both_have():
    """The paper has no rank for what came later, nor we for what failed."""
    failed = Row("gone", "GONE", {}, published={"class_iou": 0.9}, note="diverged")
    later, a, b = row("later", 0.9), row("a", 0.5, paper=0.2), row("b", 0.3, paper=0.3)
    lines = as_text(table(later, failed, a, b)).splitlines()
    assert "of the paper's [paper]" in lines[2]
    assert lines[3].split()[-1] == "1"
    assert lines[4].endswith("diverged")
    assert lines[5].split()[-3:] == ["2", "1", "[2]"]
    assert lines[6].split()[-3:] == ["3", "2", "[1]"]
    flat = {line["method"]: line for line in as_json([table(later, failed, a, b)])["2"]["rows"]}
    assert (flat["a"]["rank"], flat["a"]["common_rank"], flat["a"]["published_rank"]) == (2, 1, 2)
    assert flat["later"]["common_rank"] is None


def test_agreement_tells_confirmed_contradicted_and_undecided_orders():
    made = table(
        row("best", 0.9, paper=0.9),
        row("mid", 0.2, paper=0.5),
        row("low", 0.4, paper=0.3),
        row("near", 0.405, paper=0.2),
        row("unpublished", 0.99),
    )
    found = rank_agreement(made, "class_iou")
    assert set(found.confirmed) == {("best", "mid"), ("best", "low"), ("best", "near")}
    assert set(found.contradicted) == {("mid", "low"), ("mid", "near")}
    assert set(found.undecided) == {("low", "near")}


@given(st.permutations(range(6)))
def test_rank_correlation_is_spearmans(order):
    made = table(*(row(f"m{i}", v / 10, paper=i / 10) for i, v in enumerate(order)))
    differences = np.array(order) - np.arange(6)
    expected = 1 - 6 * (differences**2).sum() / (6 * 35)
    assert rank_agreement(made, "class_iou").correlation == pytest.approx(expected)


def test_a_column_without_order_has_no_correlation():
    equal = table(*(row(key, 0.5, paper=0.1) for key in "abc"))
    assert rank_agreement(equal, "class_iou").correlation is None
    assert rank_agreement(table(row("a", 0.5, paper=0.1)), "class_iou").correlation is None


def test_text_shows_ours_the_interval_the_papers_figure_and_both_ranks():
    lines = as_text(
        table(row("a", 0.5, paper=0.1), row("b", 0.2, paper=0.3), row("floor", 0.1, ranked=False))
    ).splitlines()
    assert "0.50 (0.49-0.51) [0.10]" in lines[3]
    assert lines[3].endswith("1 [2]")
    assert set(lines[5]) == {"-"}
    assert lines[6].startswith("FLOOR")


def test_several_seeds_show_a_deviation_instead_of_an_interval():
    text = as_text(table(row("a", 0.5, half=0.04, seeds=3)))
    assert "0.50 ± 0.02" in text
    assert "0.46-0.54" not in text


def test_what_comes_from_outside_is_escaped():
    made = table(
        row("a", 0.5, note="<b>|50% & _$#{}~^\\"), notes=("<script>alert(1)</script> 5 % ± 1",)
    )
    assert "<b>" not in as_html(made)
    assert "\\|50% & \\_" in as_markdown(made)
    latex = as_latex(made)
    assert "A: <b>|50\\%" not in latex
    assert "A: $<$b$>$|50\\%" in latex
    assert "Methods \\& more\\_1" in latex
    assert "5 \\% $\\pm$ 1" in latex
    assert latex.count("{") == latex.count("}")
    assert latex.count(" & ") == 2 * 2  # header and row: 3 columns each


def test_a_table_without_rows_or_with_newlines_is_still_a_table():
    assert as_text(table()).startswith("Table 2.")
    assert "\n" not in as_markdown(table(row("a", 0.5, note="one\ntwo"))).splitlines()[4].strip("|")
    assert "one two" in as_markdown(table(row("a", 0.5, note="one\ntwo")))


def test_csv_and_json_hold_every_figure():
    made = table(row("a", 0.5, paper=0.1), row("b", 0.2), row("f", 0.9, ranked=False))
    lines = list(csv.DictReader(io.StringIO(as_csv([made]))))
    assert [line["method"] for line in lines] == ["a", "b", "f"]
    first = lines[0]
    assert (first["value"], first["low"], first["published"]) == ("0.5", "0.49", "0.1")
    assert (first["rank"], first["tied"], first["published_rank"]) == ("1", "False", "1")
    assert lines[2]["rank"] == ""
    found = json.loads(json.dumps(as_json([made])))
    assert found["2"]["rows"][0]["value"] == 0.5


def test_published_figures_are_those_of_the_paper():
    """Typed once more from the paper: Tables 1 to 5 of Zhu et al. 2017, some of every table."""
    assert PUBLISHED["1a"].rows["cyclegan"] == (26.8,)
    assert PUBLISHED["1a"].spreads["cyclegan"] == (2.8,)
    assert PUBLISHED["1b"].rows["cyclegan"] == (23.2,)
    assert PUBLISHED["1b"].rows["simgan"] == (2.6,)
    assert PUBLISHED["2"].rows["cyclegan"] == (0.52, 0.17, 0.11)
    assert PUBLISHED["2"].rows["pix2pix"] == (0.71, 0.25, 0.18)
    assert PUBLISHED["2"].rows["feature_gan"] == (0.06, 0.04, 0.01)
    assert PUBLISHED["3"].rows["cogan"] == (0.45, 0.11, 0.08)
    assert PUBLISHED["3"].rows["bigan"] == (0.41, 0.13, 0.07)
    assert PUBLISHED["4"].rows["gan-forward-cycle"] == (0.55, 0.18, 0.12)
    assert PUBLISHED["4"].rows["cycle-alone"] == (0.22, 0.07, 0.02)
    assert PUBLISHED["5"].rows["gan-backward-cycle"] == (0.01, 0.06, 0.01)
    assert PUBLISHED["5"].rows["gan-alone"] == (0.53, 0.11, 0.07)
    assert len(PUBLISHED["2"].rows) == 6
    assert len(PUBLISHED["4"].rows) == 5


def test_an_interval_that_reaches_below_zero_is_written_with_to():
    assert "0.00 (-0.01 to 0.01)" in as_text(table(row("a", 0.0, paper=0.1)))
