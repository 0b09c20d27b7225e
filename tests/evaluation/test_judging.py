"""When the numbers that lie beside a run are still true."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest

from tests.evaluation.corners import Corners
from tests.evaluation.segmenting.pairs import THREE, write_pairs
from tests.training.runs import tiny_config
from unpaired.errors import UserError
from unpaired.evaluation.estimates import Estimate
from unpaired.evaluation.instruments import Instruments
from unpaired.evaluation.judging import judge, save, saved_numbers
from unpaired.evaluation.segmenting.outside import CallableSegmenter
from unpaired.training.config import read_yaml
from unpaired.training.run import train


def reader(key: str) -> CallableSegmenter:
    """One name, but trained anew under another key."""
    segmenter = CallableSegmenter(lambda photo: np.zeros(photo.shape[:2], int), THREE, "reader")
    segmenter.key = key
    return segmenter


INSTRUMENTS = Instruments(Corners(), classes=THREE, segmenter=reader("first"), limit=4)


@pytest.fixture(scope="module")
def judged_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged")
    data = write_pairs(folder / "data", train=4, test=4)
    run = train(tiny_config(data, steps=1), folder / "run", quiet=True)
    save(judge(run, INSTRUMENTS))
    return folder


@pytest.fixture
def run(judged_once, tmp_path):
    """A copy of the judged run, and of its pictures with their times, which may be spoilt."""
    shutil.copytree(judged_once, tmp_path / "copy")
    config = tmp_path / "copy" / "run" / "config.yaml"
    text = config.read_text(encoding="utf-8")
    there = str(judged_once / "data")
    assert there in text
    config.write_text(text.replace(there, str(tmp_path / "copy" / "data")), encoding="utf-8")
    return tmp_path / "copy" / "run"


def test_what_was_saved_is_taken_while_nothing_has_changed(run):
    assert read_yaml(run / "config.yaml").data == str(run.parent / "data")
    numbers = saved_numbers(run, INSTRUMENTS)
    assert numbers == json.loads((run / "numbers.json").read_text(encoding="utf-8"))
    assert numbers == judge(run, INSTRUMENTS).numbers()
    assert saved_numbers(run, dataclasses.replace(INSTRUMENTS, segmenter=reader("first")))


class Other(Corners):
    name = "Other"


INSTRUMENTS_CHANGED = {
    "feature net": {"features": Other()},
    "a segmenter of the same name, trained anew": {"segmenter": reader("second")},
    "no segmenter": {"segmenter": None},
    "classes of the same names with another colour": {
        "classes": dataclasses.replace(THREE, colours=(*THREE.colours[:2], (240, 220, 121)))
    },
    "limit": {"limit": 3},
    "seed of the bootstrap": {"seed": 1},
}


@pytest.mark.parametrize("changes", INSTRUMENTS_CHANGED.values(), ids=INSTRUMENTS_CHANGED)
def test_other_instruments_judge_again(run, changes):
    assert saved_numbers(run, dataclasses.replace(INSTRUMENTS, **changes)) is None


def touched(file):
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))


PICTURES_CHANGED = {
    "a test picture": lambda data: touched(data / "testA" / "01.png"),
    "a training picture": lambda data: touched(data / "trainB" / "01.png"),
    "a new pair": lambda data: [
        shutil.copy2(data / side / "00.png", data / side / "new.png") for side in ("testA", "testB")
    ],
    "fewer": lambda data: [(data / side / "03.png").unlink() for side in ("testA", "testB")],
}


@pytest.mark.parametrize("change", PICTURES_CHANGED.values(), ids=PICTURES_CHANGED)
def test_other_pictures_judge_again(run, change):
    assert saved_numbers(run, INSTRUMENTS) is not None
    change(run.parent / "data")
    assert saved_numbers(run, INSTRUMENTS) is None
    save(judge(run, INSTRUMENTS))
    assert saved_numbers(run, INSTRUMENTS) is not None


def test_a_run_that_went_on_is_judged_again(run):
    config = read_yaml(run / "config.yaml")
    train(dataclasses.replace(config, steps=2), run, resume=True, quiet=True)
    assert saved_numbers(run, INSTRUMENTS) is None
    numbers = judge(run, INSTRUMENTS, checkpoint="1").numbers()
    (run / "numbers.json").write_text(json.dumps(numbers), encoding="utf-8")
    assert saved_numbers(run, INSTRUMENTS) is None  # of an earlier checkpoint


def test_numbers_of_before_the_pictures_were_noted_and_damaged_ones_judge_again(run):
    path = run / "numbers.json"
    numbers = json.loads(path.read_text(encoding="utf-8"))
    del numbers["data_key"]
    for text in (json.dumps(numbers), "[]", '{"instruments": ', "{}"):
        path.write_text(text, encoding="utf-8")
        assert saved_numbers(run, INSTRUMENTS) is None
    path.unlink()
    assert saved_numbers(run, INSTRUMENTS) is None


def test_numbers_of_data_that_are_gone_are_not_vouched_for(run):
    shutil.rmtree(run.parent / "data")
    with pytest.raises(UserError, match="no folder"):
        saved_numbers(run, INSTRUMENTS)


def test_a_figure_that_is_not_finite_is_null_in_the_file_and_in_what_is_told(run):
    judged = judge(run, INSTRUMENTS)
    judged.evaluation.sides[0].scores["run"]["l1"] = Estimate(np.nan, -np.inf, np.inf, np.nan)
    save(judged)
    numbers = saved_numbers(run, INSTRUMENTS)
    nothing = {"value": None, "low": None, "high": None, "error": None}
    assert numbers["directions"]["x2y"]["scores"]["run"]["l1"] == nothing
    assert numbers == judged.numbers()
    assert "NaN" not in (run / "numbers.json").read_text(encoding="utf-8")
