"""What a study found, from answers whose truth is known."""

import csv
import json
import re

import numpy as np
import pytest

from tests.study.studies import small_study
from unpaired.study.design import read_design
from unpaired.study.records import CODEBOOK
from unpaired.study.report import as_text, write_results
from unpaired.study.results import results
from unpaired.study.store import Begun, Store

REPORT = {"exposures": [1000, 1000], "late": False, "unfocused": False, "viewport": [800, 600]}


def take_part(study, people, choose, *, accessible=False, stop=None, reaction=900, person=None):
    """`people` sessions; `choose(trial, number)` answers, None leaves the session."""
    store, design = Store(study / "study.sqlite"), read_design(study / "study.yaml")
    for number in range(people):
        who = None if person is None else f"{person}{number}"
        key = store.begin(design, Begun("1", accessible, "prolific" if who else "", who))
        for trial in store.remaining(key)[:stop]:
            store.expose(key, trial["position"])
            store.answer(
                key,
                trial["position"],
                choose(trial, number),
                reaction,
                {**REPORT, "input": "mouse"},
            )
        store.finish(key)
    return store, design


def wrong(trial):
    return "left" if trial["truth"] == "right" else "right"


def right_but_for(count):
    """Wrong in the first `count` scored trials of each session."""
    seen = {}

    def choose(trial, _):
        if trial["phase"] != "scored":
            return trial["truth"]
        done = seen.get(trial["session"], 0)
        seen[trial["session"]] = done + 1
        return wrong(trial) if done < count else trial["truth"]

    return choose


def test_the_rate_is_of_scored_trials_and_exclusions_are_seen_both_ways(tmp_path):
    study = small_study(tmp_path, arms=("a",), practice=2, scored=6, attention=2)
    take_part(study, 4, right_but_for(3))
    store, design = take_part(study, 2, lambda trial, _: wrong(trial))  # attention missed
    arm = results(store, design, {}).arms[0]
    assert (arm.counted.value, arm.counted.people, arm.counted.trials) == (0.5, 4, 24)
    assert (arm.everyone.people, arm.everyone.value) == (6, pytest.approx((4 * 3 + 2 * 6) / 36))
    assert arm.excluded == {"attention": 2}
    assert (arm.began, arm.done) == (6, 6)


def test_sessions_without_time_limits_are_counted_apart(tmp_path):
    study = small_study(tmp_path, arms=("a",))
    take_part(study, 3, right_but_for(0))
    store, design = take_part(study, 2, right_but_for(6), accessible=True)
    arm = results(store, design, {}).arms[0]
    assert (arm.counted.value, arm.counted.people) == (0.0, 3)
    assert (arm.accessible.value, arm.accessible.people) == (1.0, 2)


def test_who_leaves_counts_as_far_as_they_went(tmp_path):
    study = small_study(tmp_path, arms=("a",), practice=0, scored=6, attention=0)
    store, design = take_part(study, 2, right_but_for(1), stop=2)
    arm = results(store, design, {}).arms[0]
    assert (arm.counted.value, arm.counted.trials, arm.done) == (0.5, 4, 0)


def test_a_study_without_answers_has_no_rates(tmp_path):
    study = small_study(tmp_path)
    text, page, numbers = write_results(study, 50)
    assert [arm["counted"] for arm in numbers["arms"]] == [None, None]
    assert numbers["pairs"] == ()
    assert "fewer than 15 people" in text
    assert page.is_file()


def test_two_algorithms_are_told_apart(tmp_path):
    study = small_study(tmp_path, arms=("good", "poor"), practice=0, attention=0)
    store, design = Store(study / "study.sqlite"), read_design(study / "study.yaml")
    fools = {"good": 4, "poor": 1}
    for _ in range(16):
        key = store.begin(design, Begun("1"))
        left = fools[store.session(key)["arm"]]
        for i, trial in enumerate(store.remaining(key)):
            store.expose(key, trial["position"])
            choice = wrong(trial) if i < left else trial["truth"]
            store.answer(key, trial["position"], choice, 800, {**REPORT, "input": "keyboard"})
    found = results(store, design, {})
    assert [arm.counted.value for arm in found.arms] == pytest.approx([4 / 6, 1 / 6])
    pair = found.pairs[0]
    assert (pair.a, pair.b) == ("good", "poor")
    assert pair.difference.value == pytest.approx(0.5)
    assert pair.difference.low > 0
    assert pair.difference.better == 1.0


def test_side_bias_is_seen_and_said(tmp_path):
    study = small_study(tmp_path, arms=("a",), practice=0, attention=0)
    store, design = take_part(study, 8, lambda *_: "left")
    found = results(store, design, {})
    arm = found.arms[0]
    assert arm.left.value == 1.0
    assert (arm.fooled_left, arm.fooled_right) == (0.0, 1.0)
    assert any("preferred one side (100% left)" in text for text in found.warnings)


def test_pictures_are_sorted_from_most_to_least_fooling(tmp_path):
    study = small_study(tmp_path, arms=("a",), count=8, practice=0, scored=6, attention=0)
    store = Store(study / "study.sqlite")
    sure = {p.id for p in store.pictures if p.kind == "fake" and p.name in ("00", "05")}
    store.close()

    def choose(trial, _):
        pair = {trial["left_picture"], trial["right_picture"]}
        return wrong(trial) if pair & sure else trial["truth"]

    store, design = take_part(study, 12, choose)
    pictures = results(store, design, {}).pictures
    assert {one.name for one in pictures[:2]} == {"00", "05"}
    assert [one.rate for one in pictures[:2]] == [1.0, 1.0]
    assert {one.rate for one in pictures[2:]} == {0.0}
    assert sum(one.trials for one in pictures) == 12 * 6


def test_of_two_algorithms_shown_together_the_rate_is_the_first_ones(tmp_path):
    study = small_study(tmp_path, preset="versus")
    store, design = take_part(study, 5, lambda trial, _: trial["truth"])
    found = results(store, design, {})
    assert [(arm.name, arm.counted.value) for arm in found.arms] == [("a : b", 1.0)]
    assert found.pairs == ()
    text, page, _ = write_results(study, 50)
    assert "first preferred" in text
    assert "Table 1" not in text
    assert "Where the first was preferred most" in page.read_text()


def test_made_up_people_are_never_passed_off_as_people(tmp_path):
    study = small_study(tmp_path, arms=("a",))
    take_part(study, 2, right_but_for(1))
    take_part(study, 3, right_but_for(1), person="sim-")
    text, page, numbers = write_results(study, 50)
    assert numbers["simulated"] == 3
    assert "warning: 3 of these sessions are simulated" in text
    assert "3 of these sessions are simulated" in page.read_text()


def test_what_is_written_agrees_and_is_explained(tmp_path):
    study = small_study(tmp_path, arms=("cyclegan", "mine"))
    take_part(study, 10, right_but_for(2))
    text, page, _ = write_results(study, 200)
    out = study / "results"
    with (out / "answers.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 10 * 10
    codebook = dict(csv.reader((out / "codebook.csv").open(newline="")))
    assert set(lines[0]) == set(codebook) - {"column"} == set(CODEBOOK)
    also = json.loads((out / "answers.json").read_text())
    assert [str(line["choice"]) for line in also["answers"]] == [line["choice"] for line in lines]
    scored = [x for x in lines if x["phase"] == "scored" and x["arm"] == "mine"]
    share = np.mean([int(x["fooled"]) for x in scored])
    kept = json.loads((out / "results.json").read_text())
    assert kept["arms"][1]["counted"]["value"] == pytest.approx(share)
    assert kept["resamples"] == 200
    assert f"{100 * share:.1f}%" in text
    assert re.search(r"cyclegan .* 26\.8% ± 2\.8%\s+23\.2% ± 3\.4%", text)  # Table 1
    assert "don't compare" in text
    html = page.read_text()
    assert html.count("data:image/png") == 2 * 2 * min(8, 14 // 2)
    assert "http://" not in html
    assert "https://" not in html


def test_names_are_escaped_in_the_report(tmp_path):
    study = small_study(tmp_path, arms=("<b>x", "y"))
    take_part(study, 2, right_but_for(1))
    html = write_results(study, 50)[1].read_text()
    assert "<b>x" not in html
    assert "&lt;b&gt;x" in html


def test_nothing_is_bootstrapped_differently_twice(tmp_path):
    study = small_study(tmp_path)
    take_part(study, 6, right_but_for(2))
    assert write_results(study, 300)[2] == write_results(study, 300)[2]


def test_text_is_for_people(tmp_path):
    study = small_study(tmp_path, arms=("a",))
    store, design = take_part(study, 3, right_but_for(3))
    assert re.search(r"a\s+3\s+50\.0% ± \d", as_text(results(store, design, {})))
