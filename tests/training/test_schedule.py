"""The learning rate falls as the papers and the flags say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unpaired.errors import UserError
from unpaired.training.schedule import Plateau, ScheduleConfig, factor_at


def test_linear_is_the_papers_100_constant_and_100_falling_epochs():
    paper = ScheduleConfig()
    factors = [factor_at(paper, epoch / 200, step=epoch) for epoch in (0, 50, 100, 150, 200)]
    assert factors == pytest.approx([1, 1, 1, 0.5, 0])


def test_cosine_falls_over_the_decay_share_only():
    config = ScheduleConfig(kind="cosine", constant=0.5)
    assert factor_at(config, 0.5, 0) == pytest.approx(1)
    assert factor_at(config, 0.75, 0) == pytest.approx(0.5)
    assert factor_at(config, 1.0, 0) == pytest.approx(0)


def test_step_multiplies_after_every_share():
    config = ScheduleConfig(kind="step", every=0.25, factor=0.1)
    assert [factor_at(config, p, 0) for p in (0.0, 0.24, 0.25, 0.5, 0.75)] == pytest.approx(
        [1, 1, 0.1, 0.01, 0.001]
    )


def test_warmup_rises_from_the_first_step_whatever_the_kind():
    config = ScheduleConfig(kind="constant", warmup=4)
    assert [factor_at(config, 0, s) for s in (0, 1, 3, 9)] == pytest.approx([0.25, 0.5, 1, 1])


@given(
    kind=st.sampled_from(["linear", "cosine", "step", "constant", "plateau"]),
    a=st.floats(-1, 2),
    b=st.floats(-1, 2),
)
def test_no_factor_leaves_0_to_1_or_ever_rises(kind, a, b):
    config = ScheduleConfig(kind=kind)
    early, late = factor_at(config, min(a, b), 9), factor_at(config, max(a, b), 9)
    assert 0 <= late <= early <= 1


def test_plateau_falls_only_after_patience_scores_without_a_better_one():
    config, plateau = ScheduleConfig(kind="plateau", patience=2, factor=0.5), Plateau()
    factors = []
    for score in (1.0, 0.5, 0.6, 0.6, 0.4, 0.5, 0.5):
        plateau.observe(score, config)
        factors.append(plateau.factor)
    assert factors == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(
    "bad", [{"constant": 1.0}, {"every": 0.0}, {"factor": 1.0}, {"warmup": -1}]
)
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(UserError, match="--schedule"):
        ScheduleConfig(**bad)
