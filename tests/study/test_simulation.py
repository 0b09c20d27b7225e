"""Made-up people answer as they are told to, over the same HTTP as everyone."""

import numpy as np
import pytest

pytest.importorskip("fastapi")

from tests.study.serving import Server
from tests.study.studies import small_study
from unpaired.errors import UserError
from unpaired.study.design import read_design
from unpaired.study.records import records
from unpaired.study.simulation import People, simulate, truth_from
from unpaired.study.store import Store


def lines_of(study):
    store = Store(study / "study.sqlite")
    try:
        return records(store, read_design(study / "study.yaml"))
    finally:
        store.close()


def shares(lines, phase, key):
    return np.mean([line[key] for line in lines if line["phase"] == phase])


@pytest.mark.parametrize(("rate", "fooled"), [(0.0, 0.0), (1.0, 1.0)])
def test_who_is_always_or_never_fooled(tmp_path, rate, fooled):
    study = small_study(tmp_path)
    with Server(study) as server:
        happened = simulate(
            server.address, 6, People(rate, lapses=0), at_once=6, truth=truth_from(study)
        )
    assert (happened.finished, happened.failed) == (6, [])
    lines = lines_of(study)
    assert shares(lines, "scored", "fooled") == fooled
    assert shares(lines, "attention", "fooled") == 0  # an obvious fake fools nobody who looks
    assert all(line["simulated"] for line in lines)
    assert happened.numbers["answers"] == len(lines) == 6 * 10
    assert happened.numbers["people"] == 6
    assert "6 of 6 sessions finished" in happened.text


def test_blind_answers_follow_the_side_bias_and_miss_obvious_fakes(tmp_path):
    study = small_study(tmp_path, preset="untimed")
    with Server(study) as server:
        blind = People(0.0, lapses=1, side_bias=1)
        simulate(server.address, 4, blind, at_once=4, truth=truth_from(study))
    lines = lines_of(study)
    assert {line["choice"] for line in lines} == {"left"}
    assert shares(lines, "attention", "fooled") == 0.5  # sides are balanced


def test_one_after_the_other_they_do_the_same_again(tmp_path):
    answers = []
    for name in ("a", "b"):
        study = small_study(tmp_path / name, preset="untimed", seed=3)
        with Server(study) as server:
            simulate(server.address, 3, People(0.5), at_once=1, seed=7, truth=truth_from(study))
        answers.append([(x["arm"], x["choice"], x["picture"]) for x in lines_of(study)])
    assert answers[0] == answers[1]


def test_peoples_own_rates_lie_about_the_mean():
    rng = np.random.default_rng(0)
    own = [People(0.3, spread=0.5).own_rate(rng) for _ in range(4000)]
    assert np.median(own) == pytest.approx(0.3, abs=0.01)
    assert np.std(np.log(own) - np.log1p(-np.array(own))) == pytest.approx(0.5, rel=0.05)
    assert People(1.0).own_rate(rng) == 1.0


@pytest.mark.parametrize(
    "wrong", [{"rate": 1.1}, {"lapses": -0.1}, {"side_bias": 2}, {"spread": -1}, {"think": -1}]
)
def test_impossible_people_are_refused(wrong):
    with pytest.raises(UserError):
        People(**wrong)
