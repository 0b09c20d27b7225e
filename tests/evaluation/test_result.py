"""`unpaired.evaluate`: what one call gives."""

import json
from pathlib import Path

import pytest

import unpaired
from tests.evaluation.corners import Corners
from tests.evaluation.reporting.test_report import Tags
from tests.training.runs import tiny_config, write_dataset
from unpaired.evaluation import instruments
from unpaired.evaluation.result import Result
from unpaired.training.run import train


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("result")
    data = write_dataset(folder / "data", train=7, test=4)
    return train(tiny_config(data, steps=2), folder / "<my> run", quiet=True)


@pytest.fixture(scope="module")
def result(run) -> Result:
    return unpaired.evaluate(str(run), instruments=instruments.Instruments(Corners()))


def test_figures_are_those_of_the_report_and_the_file(run, result):
    assert result.run == run
    assert result.page == run / "report.html"
    assert result.page.is_file()
    assert result.directions == ("x2y", "y2x")
    saved = json.loads((run / "numbers.json").read_text())
    kid = saved["directions"]["y2x"]["scores"]["input"]["kid"]
    assert result.figure("kid", "y2x", "input").value == kid["value"]
    assert result.scores["y2x"]["input"]["kid"].high == kid["high"]
    assert result.figure().value == saved["directions"]["x2y"]["scores"]["run"]["kid"]["value"]
    assert result.numbers() == saved
    assert result.findings["x2y"] == saved["directions"]["x2y"]["findings"]


def test_what_was_not_measured_is_named_with_what_was(result):
    with pytest.raises(KeyError, match=r"measured are input: .*kid"):
        result.figure("class_iou")
    with pytest.raises(KeyError, match='of "best"'):
        result.figure(row="best")


def test_it_shows_itself_as_text_and_as_html(run, result):
    assert "KID-Corners" in str(result)
    assert f"{run}, y2x, 4 pictures" in str(result)
    assert "report.html" in repr(result)
    tags = Tags()
    tags.feed(result._repr_html_())
    assert tags.open == []
    assert "&lt;my&gt; run" in result._repr_html_()
    assert "KID-Corners" in result._repr_html_()
    assert not {"script", "link", "img"} & {tag for tag, _ in tags.seen}


def test_without_instruments_those_of_the_command_are_taken(run, monkeypatch):
    monkeypatch.setitem(instruments.FEATURE_NETS, "efficientnet", Corners)
    assert unpaired.evaluate(run).figure().value is not None


def test_mistakes_are_user_errors(run, tmp_path):
    with pytest.raises(unpaired.UserError, match="no run at"):
        unpaired.evaluate(tmp_path / "nowhere")
    with pytest.raises(unpaired.UserError, match="it has steps 2"):
        unpaired.evaluate(run, checkpoint="7")
