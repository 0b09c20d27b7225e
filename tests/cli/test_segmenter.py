"""`unpaired segmenter` from outside: what it trains, says and refuses."""

import json
from pathlib import Path

import pytest

from tests.cli.test_wrong_use import everything_below, outside
from tests.evaluation.segmenting.pairs import make_pairs, write_pairs
from unpaired.cli import run
from unpaired.evaluation.segmenting.trained import TrainedSegmenter

QUICK = "--width 4 --steps 2 --device cpu"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    write_pairs(tmp_path / "data")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").write_text("x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_trains_prints_the_ceiling_and_keeps_it_on_the_card(place):
    command = f"segmenter train --data ./data/ --classes data/three.json --out s --json j {QUICK}"
    result = outside(*command.split(), cwd=place)
    assert result.returncode == 0, result.stderr
    first, *scores, last = result.stdout.splitlines()
    assert first == "3 real test photos, read by FCN trained on data"
    assert [line.split("  ")[1] for line in scores] == [
        "per-pixel accuracy",
        "per-class accuracy",
        "class IOU",
    ]
    assert last == "s"
    assert "100%" in result.stderr
    segmenter = TrainedSegmenter.load(place / "s")
    told = json.loads((place / "j").read_text())
    assert told["scores"] == segmenter.card.ceiling["scores"]
    assert told["training"]["steps"] == 2
    assert f"{told['scores']['pixel_accuracy']['value']:.3f} (" in scores[0]
    assert segmenter.card.rotate is False
    assert segmenter(make_pairs(1, 0)[0]).shape == (1, 32, 32)


def test_options_reach_the_training(place, capsys):
    command = f"segmenter train --data data --classes data/three.json --out s {QUICK}"
    assert run([*command.split(), "--rotate", "True", "--seed", "7", "--size", "48x16"]) == 0
    card = TrainedSegmenter.load(place / "s").card
    assert (card.rotate, card.size, card.training["seed"], card.width) == (True, (16, 48), 7, 4)


WRONG = {
    "another verb": ("segmenter trian", "did you mean train"),
    "no data": ("segmenter train --out s", "--data"),
    "no out": ("segmenter train --data data", "--out"),
    "no classes": ("segmenter train --data data --out s", "--classes"),
    "unknown classes": (
        "segmenter train --data data --out s --classes camvit",
        "did you mean camvid",
    ),
    "classes of other colours": (
        "segmenter train --data data --out s --classes cityscapes",
        "neither side has the colours",
    ),
    "no such folder": ("segmenter train --data dta --out s --classes camvid", 'no folder "dta"'),
    "a view without labels": ("segmenter train --data worldtiles:map-aerial --out s", "--labels"),
    "a taken folder": ("segmenter train --data worldtiles:labels-aerial --out full", "not empty"),
    "a wrong size": ("segmenter train --data data --out s --size wide", "--size is wide"),
    "no steps": (
        "segmenter train --data data --out s --classes data/three.json --steps 0",
        "--steps must be 1",
    ),
    "an unknown option": ("segmenter train --data data --out s --step 3", "did you mean --steps"),
}


@pytest.mark.parametrize(("command", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_is_one_line_and_leaves_nothing(place, capsys, command, said):
    before = everything_below(place)
    assert run(command.split()) == 2
    message = capsys.readouterr().err
    assert message.startswith("unpaired: error: ")
    assert message.count("\n") == 1
    assert said in message
    assert everything_below(place) == before


def test_help_is_there(capsys):
    assert run(["segmenter"]) == 0
    assert "unpaired segmenter train --data" in capsys.readouterr().out
