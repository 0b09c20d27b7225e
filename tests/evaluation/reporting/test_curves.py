"""The curve of a run's evaluations."""

import re

import pytest

from unpaired.evaluation.reporting.curves import COLOURS, INK, loss_curves, validation_curve

LINES = [
    entry
    for step in (100, 200, 300)
    for entry in (
        {"step": step, "lr": 1e-4, "gan_G": 0.5},
        {
            "step": step,
            "kid_x2y": 20 / step,
            "kid_x2y_error": 0.01,
            "kid_y2x": 30 / step,
            "kid_y2x_error": 0.01,
            "validation_score": 25 / step,
        },
    )
]
FOUND = [
    {"step": 200, "name": "mode_collapse", "severity": "notice", "direction": "x2y"},
    {"step": 300, "name": "mode_collapse", "severity": "warning", "direction": "x2y"},
    {"step": 300, "name": "<blobs>", "severity": "warning", "direction": "y2x"},
]


def texts(svg: str) -> list[str]:
    return [re.sub("<[^>]*>", "", text).strip() for text in re.findall(r"<text.*?</text>", svg)]


def test_the_curve_has_a_line_and_a_band_per_direction_and_marks_the_best_step():
    svg = validation_curve(LINES, 300, [])
    assert svg is not None
    assert {"X to Y", "Y to X", "best: step 300"} <= set(texts(svg))
    assert INK not in svg
    bands = [part for part in svg.split("<g id=") if part.startswith('"FillBetween')]
    assert len(bands) == 2
    assert "stroke-dasharray" not in (validation_curve(LINES, None, []) or "stroke-dasharray")


def test_a_method_that_goes_one_way_has_one_line():
    one_way = [{k: v for k, v in line.items() if "y2x" not in k} for line in LINES]
    said = texts(validation_curve(one_way, 300, []) or "")
    assert "X to Y" in said
    assert "Y to X" not in said


def test_scores_of_another_judge_are_drawn_without_a_name_for_them():
    plain = [{"step": step, "validation_score": 1 / step} for step in (1, 2)]
    assert "score" in texts(validation_curve(plain, 2, []) or "")


def test_findings_stand_below_at_their_steps_by_name_and_direction():
    svg = validation_curve(LINES, 300, FOUND)
    assert svg is not None
    assert "mode collapse, X to Y" in texts(svg)
    assert "&lt;blobs&gt;, Y to X" in texts(svg)
    assert "<blobs>" not in svg
    marks = [part for part in svg.split("<g id=") if part.startswith('"PathCollection')]
    assert [len(re.findall("<use ", part)) for part in marks] == [2, 1]
    assert COLOURS[3] in marks[0]
    assert COLOURS[1] in marks[0]


@pytest.mark.parametrize("lines", [[], LINES[:2], [LINES[0], LINES[2]]])
def test_fewer_than_two_evaluations_make_no_curve(lines):
    assert validation_curve(lines, None, []) is None


def test_what_evaluations_gave_is_not_among_the_losses():
    said = texts(loss_curves(LINES) or "")
    assert "gan_G" in said
    assert not [text for text in said if "kid" in text or "score" in text]
