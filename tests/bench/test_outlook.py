"""What wasn't measured follows from what was."""

import pytest

from unpaired.bench.clock import Spread
from unpaired.bench.outlook import largest_batch, look_out, seconds_between
from unpaired.bench.step import StepFigures

GIB = 1 << 30


def step(size: int, operations: int, seconds: float, memory: int | None = None) -> StepFigures:
    spread = Spread(seconds, 0.9 * seconds, 1.1 * seconds, 9)
    return StepFigures(size, 1, spread, operations, memory, state=GIB)


def test_a_fixed_part_of_a_step_is_told_from_the_part_that_grows():
    # 0.1 s and 2 s per 1000 operations: 1.1 s for 500
    steps = [step(64, 100, 0.3), step(128, 200, 0.5)]
    assert seconds_between(500, steps) == pytest.approx((1.1, 0.5 * 500 / 200))


def test_one_size_is_carried_over_in_proportion():
    assert seconds_between(500, [step(128, 200, 0.5)]) == pytest.approx((1.25, 1.25))


def test_sizes_that_noise_has_turned_round_are_carried_over_in_proportion():
    steps = [step(64, 100, 0.6), step(128, 200, 0.5)]
    assert seconds_between(500, steps) == pytest.approx((1.25, 1.25))


def test_the_papers_training_has_two_hundred_thousand_steps():
    found = look_out(200, GIB, [step(256, 200, 1.8)], room=GIB)
    assert found.measured
    assert found.hours == pytest.approx((90, 110))  # 200,000 steps of 1.8 s, 10% less and more
    assert not look_out(800, GIB, [step(128, 200, 1.8)], room=GIB).measured


def test_so_many_pictures_fit_as_activations_fit_beside_the_state():
    # state 1 GiB, fixed 1 GiB, 1 GiB per 100 operations: 10 GiB hold 4 pictures of 200
    steps = [step(64, 100, 0.3, 3 * GIB), step(128, 200, 0.5, 4 * GIB)]
    assert largest_batch(200, GIB, steps, room=10 * GIB) == 4
    assert largest_batch(200, GIB, steps, room=3 * GIB) == 0
    assert largest_batch(200, GIB, [step(64, 100, 0.3)], room=10 * GIB) is None
