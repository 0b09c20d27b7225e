"""Means with intervals."""

import pytest

from unpaired.evaluation.estimates import student_estimate


def test_a_mean_over_few_runs_has_students_interval():
    found = student_estimate([1.0, 2.0, 3.0])
    assert (found.value, found.error) == (2.0, 1.0)
    assert found.high - found.value == pytest.approx(4.3027 / 3**0.5, abs=1e-4)  # t of 2 degrees
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_one_run_has_no_interval():
    with pytest.raises(ValueError, match="two or more"):
        student_estimate([1.0])
