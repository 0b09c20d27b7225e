"""`unpaired reproduce` and comparisons by `unpaired evaluate`, from outside."""

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.corners import Corners
from tests.evaluation.segmenting.pairs import write_pairs
from unpaired.cli import run
from unpaired.evaluation import instruments
from unpaired.reproduction import training
from unpaired.training.card import read_card
from unpaired.training.finding import find_checkpoint

SMALL = "--preset small --size 16 --filters 4 --blocks 1 --batch 2 --discriminator.filters 2"
SMALL += " --history 0 --precision fp32 --sample-every 100 --checkpoint-every 1"
TILE = 'loading="lazy"></td>'  # ends a picture of a strip


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = write_pairs(tmp_path_factory.mktemp("pairs") / "data", train=8, test=5, side=16)
    command = f"segmenter train --data {folder} --out {folder}/segmenter --steps 3 --width 4"
    assert run([*command.split(), "--classes", f"{folder}/three.json"]) == 0
    return folder


@pytest.fixture(autouse=True)
def cheap_features(monkeypatch, tmp_path):
    monkeypatch.setitem(instruments.FEATURE_NETS, "efficientnet", Corners)
    monkeypatch.setenv("UNPAIRED_CACHE", str(tmp_path / "cache"))


def words(data, out, tables="2 3", more=""):
    return (
        f"reproduce {tables} --data {data} --classes {data}/three.json --segmenter "
        f"{data}/segmenter --out {out} {SMALL} {more}"
    ).split()


def test_tables_are_trained_judged_and_written_once(data, tmp_path, monkeypatch, capsys):
    out = tmp_path / "tables"
    more = f"--steps 2 --methods cyclegan,pix2pix --json {tmp_path / 'all.json'}"
    assert run(words(data, out, more=more)) == 0
    said = capsys.readouterr()
    assert {p.name for p in (out / "runs").iterdir()} == {"cyclegan", "pix2pix", "pix2pix-back"}
    assert "Table 2. Methods, labels to photo" in said.out
    assert "FCN trained on" in said.out
    assert "2 steps of 2 pictures" in said.out
    lines = list(csv.DictReader((out / "tables.csv").open(newline="")))
    assert {line["table"] for line in lines} == {"2", "3"}
    ours = {(line["table"], line["method"], line["metric"]): line for line in lines}
    assert ours["2", "cyclegan", "class_iou"]["published"] == "0.11"
    assert ours["3", "pix2pix", "class_iou"]["published_rank"] == "1"
    assert ours["2", "ceiling", "pixel_accuracy"]["rank"] == ""
    assert ("2", "majority", "class_iou") in ours
    assert "\\toprule" in (out / "tables.tex").read_text()
    page = (out / "report.html").read_text()
    assert page.count(TILE) == 5 * (1 + 2 + 1) * 2  # pictures, of input, methods and truth
    assert page.count('<span class="tag"') > 0
    assert json.loads((tmp_path / "all.json").read_text())["failed"] == {}

    def untouched(*_, **__):
        raise AssertionError("trained or judged again")

    monkeypatch.setattr(training, "train", untouched)
    monkeypatch.setattr(training, "judge", untouched)
    before = (out / "tables.json").read_text()
    assert run(words(data, out, more=more)) == 0
    assert (out / "tables.json").read_text() == before


def test_a_method_of_one_direction_is_scored_where_its_pictures_belong(data, tmp_path):
    """The segmenter's own figures stand in both directions; the truths are those of the labels."""
    out = tmp_path / "tables"
    assert run(words(data, out, more="--steps 1 --methods pix2pix")) == 0
    numbers = {
        name: json.loads((out / "runs" / name / "numbers.json").read_text())["directions"]["x2y"]
        for name in ("pix2pix", "pix2pix-back")
    }
    forward, back = numbers["pix2pix"]["scores"], numbers["pix2pix-back"]["scores"]
    assert forward["ceiling"] == back["ceiling"]
    assert back["lookup"]["class_iou"]["value"] > 0.99  # its colours tell the classes of photos
    assert back["input"]["l1"] == forward["input"]["l1"]
    made = out / "runs" / "pix2pix-back" / "translations" / "x2y"
    assert sorted(p.name for p in made.iterdir()) == [f"{i:02d}.png.png" for i in range(5)]


def test_other_options_than_those_a_run_was_made_with_are_refused(data, tmp_path, capsys):
    out = tmp_path / "tables"
    assert run(words(data, out, "2", "--steps 1 --methods pix2pix")) == 0
    capsys.readouterr()
    assert run(words(data, out, "2", "--steps 1 --methods pix2pix --optimizer.lr 0.5")) == 2
    assert "was trained with another --optimizer.lr" in capsys.readouterr().err
    assert run(words(data, out, "2", "--steps 2 --methods pix2pix")) == 0
    assert read_card(find_checkpoint(out / "runs" / "pix2pix")).step == 2


def test_several_seeds_give_mean_and_deviation(data, tmp_path, capsys):
    out = tmp_path / "tables"
    assert run(words(data, out, "2", "--steps 1 --methods cyclegan --seeds 2 --seed 5")) == 0
    runs = [out / "runs" / f"cyclegan-seed{seed}" for seed in (5, 6)]
    figures = [
        json.loads((run / "numbers.json").read_text())["directions"]["x2y"]["scores"]["run"]
        for run in runs
    ]
    values = [one["l1"]["value"] for one in figures]
    lines = csv.DictReader((out / "tables.csv").open(newline=""))
    (line,) = (x for x in lines if (x["method"], x["metric"]) == ("cyclegan", "l1"))
    assert float(line["value"]) == pytest.approx(np.mean(values))
    assert float(line["error"]) == pytest.approx(np.std(values, ddof=1))
    assert line["seeds"] == "2"
    capsys.readouterr()
    page, numbers = tmp_path / "c.html", tmp_path / "c.json"
    command = f"evaluate {runs[0]} {runs[1]} --out {page} --json {numbers}"
    command += f" --classes {data}/three.json --per-image {tmp_path / 'c.csv'}"
    assert run(command.split()) == 0
    ((method, ways),) = json.loads(numbers.read_text())["methods"].items()
    assert method.startswith("CycleGAN")
    assert ways["x2y"]["seeds"] == [5, 6]
    assert ways["x2y"]["scores"]["l1"]["value"] == pytest.approx(np.mean(values))
    assert "2 seeds" in page.read_text()
    assert len(list(csv.reader((tmp_path / "c.csv").open(newline="")))) == 1 + 2 * 2 * 5


def test_an_interrupted_reproduction_goes_on_where_it_stopped(data, tmp_path):
    out = tmp_path / "tables"
    arguments = words(data, out, "2", "--steps 30 --methods gan-alone,cyclegan --seeds 1")
    command = [sys.executable, "-m", "unpaired", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 120
        while not (out / "runs" / "cyclegan" / "checkpoints").is_dir():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode == 143
    assert "the same command goes on" in said
    assert "Traceback" not in said
    assert not (out / "tables.json").exists()
    step = read_card(find_checkpoint(out / "runs" / "cyclegan")).step
    assert run(arguments) == 0
    assert read_card(find_checkpoint(out / "runs" / "cyclegan")).step == 30 > step
    straight = tmp_path / "straight"
    assert run(words(data, straight, "2", "--steps 30 --methods gan-alone,cyclegan")) == 0
    for name in ("gan-alone", "cyclegan"):
        a, b = (
            Image.open(base / "runs" / name / "translations" / "x2y" / "00.png.png")
            for base in (out, straight)
        )
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("reproduce", "name a table"),
        ("reproduce 6", 'no table "6"'),
        ("reproduce 2 --methods cyclegan,cuclegan", "did you mean cyclegan?"),
        ("reproduce 2 --seeds 0", "--seeds is 0"),
        ("reproduce 2 --budget 0", "--minutes is 0"),
        ("reproduce 2 --budget nan", "--minutes is nan"),
        ("reproduce 2 --steps 5 --minutes 3", "drop one"),
        ("reproduce 2 --data worldtiles:map-aerial", "classes worldtiles"),
        ("reproduce 2 --preset nothing", "nothing"),
        ("reproduce 2 --nonsense 3", "unknown option --nonsense"),
        ("reproduce 2 --segmenter nowhere", "holds no segmenter"),
        ("reproduce 2 --feature-net nets", "--feature-net is"),
    ],
)
def test_a_mistake_is_one_line_and_trains_nothing(command, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(command.split()) == 2
    said = capsys.readouterr().err.strip()
    assert says in said
    assert "\n" not in said
    assert not (tmp_path / "runs").exists()


def test_table_1_needs_no_training_and_leaves_our_cells_empty(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["reproduce", "1", "--out", "out"]) == 0
    said = capsys.readouterr().out
    assert "[26.8]" in said
    assert "need people" in said
    assert not (tmp_path / "out" / "runs").exists()


def test_runs_on_other_pictures_are_not_set_side_by_side(data, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(data, other)
    runs = []
    for number, folder in enumerate((data, other)):
        runs.append(tmp_path / f"run{number}")
        command = f"train cyclegan --data {folder} --out {runs[-1]} --steps 1 {SMALL}"
        assert run(command.split()) == 0
    capsys.readouterr()
    assert run(["evaluate", *map(str, runs), "--out", str(tmp_path / "c.html")]) == 2
    assert "other pictures than" in capsys.readouterr().err
    assert not (runs[0] / "numbers.json").exists()  # said before the work


def test_runs_judged_on_fewer_pictures_are_compared_on_those(data, tmp_path):
    runs = []
    for seed in range(2):
        runs.append(tmp_path / f"run{seed}")
        command = f"train cyclegan --data {data} --out {runs[-1]} --steps 1 --seed {seed} {SMALL}"
        assert run(command.split()) == 0
    page = tmp_path / "c.html"
    assert run(["evaluate", *map(str, runs), "--limit", "3", "--out", str(page)]) == 0
    assert page.read_text(encoding="utf-8").count(TILE) == 3 * 3 * 2


def test_a_comparison_draws_the_curves_and_intervals_of_every_method_and_its_own_failures(
    tmp_path,
):
    data = write_pairs(tmp_path / "data", train=24, test=5, side=16)
    runs = []
    for number, method in enumerate(("cyclegan", "cut")):
        runs.append(tmp_path / f"run{number}")
        command = f"train {method} --data {data} --out {runs[-1]} --steps 2 --evaluate-every 1"
        assert run([*command.split(), *SMALL.split()]) == 0
    page = tmp_path / "c.html"
    assert run(["evaluate", *map(str, runs), "--out", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    there, back = text.split('<section aria-labelledby="y2x"')
    assert "KID on the validation share" in there
    assert "points with their 95% intervals" in there
    drawn = [re.search(r"validation score of every.*?</svg>", t, re.S) for t in (there, back)]
    assert "CUT" in drawn[0].group()  # type: ignore[union-attr]
    assert "CUT" not in drawn[1].group()  # type: ignore[union-attr]
    numbers = json.loads((runs[1] / "numbers.json").read_text())
    worst = numbers["directions"]["x2y"]["failures"]["feature_distance"]
    assert [v for _, v in worst] == sorted((v for _, v in worst), reverse=True)
    shown = there[there.index("look least like any real picture") :]
    assert all(f'title="{name}"' in shown for name, _ in worst)


def test_a_run_given_twice_is_not_two_seeds(data, tmp_path, capsys):
    command = f"train cyclegan --data {data} --out {tmp_path}/run --steps 1 {SMALL}"
    assert run(command.split()) == 0
    capsys.readouterr()
    assert run(["evaluate", f"{tmp_path}/run", f"{tmp_path}/./run/"]) == 2
    assert "given twice" in capsys.readouterr().err


def test_outputs_that_would_overwrite_each_other_are_refused(tmp_path, capsys):
    words = f"evaluate {tmp_path} --json {tmp_path}/a --per-image {tmp_path}/./a"
    assert run(words.split()) == 2
    assert "--json and --per-image are both" in capsys.readouterr().err


def test_an_out_that_is_a_file_is_refused_before_any_training(data, tmp_path, capsys):
    (tmp_path / "out").write_text("mine")
    assert run(words(data, tmp_path / "out", more="--methods cyclegan")) == 2
    assert "can't be a folder" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"
