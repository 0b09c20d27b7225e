"""The commands do what their help says."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_wrong_use import TINY, outside
from tests.training.runs import write_dataset, write_pictures
from unpaired.cli import ABOUT, VERBS, run
from unpaired.training.card import read_card
from unpaired.training.config import read_yaml
from unpaired.training.finding import find_checkpoint
from unpaired.training.validation import Judgement


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(scope="module")
def trained(data) -> Path:
    """A run of 3 steps made by the command."""
    out = data.parent / "run"
    assert run([*f"train cyclegan --data {data} --steps 3 --out {out}".split(), *TINY]) == 0
    return out


def test_help_names_every_verb_and_version_is_the_packages(capsys):
    assert run(["--help"]) == 0
    assert capsys.readouterr().out == ABOUT
    for verb in VERBS:
        assert f"\n  {verb} " in ABOUT
    assert run(["train", "--out", "somewhere", "-h"]) == 0
    assert "usage: unpaired train METHOD" in capsys.readouterr().out
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == "unpaired 0.1.0\n"


@pytest.mark.parametrize(
    "verb",
    ["demo", "translate", "stylize", "evaluate", "doctor", "bench", "train cyclegan", "data check"],
)
def test_every_verb_explains_its_options(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        run([*verb.split(), "--help"])
    assert stop.value.code == 0
    assert "--json" in capsys.readouterr().out or verb == "demo"


def test_train_leaves_the_run_folder_of_the_docs(trained):
    assert {p.name for p in trained.iterdir()} == {
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "samples",
        "tensorboard",
        "checkpoints",
        "latest",
    }
    assert {p.name for p in (trained / "samples").iterdir()} == {
        "step_00000000.png",
        "step_00000003.png",
    }


def test_the_saved_configuration_runs_again_as_it_is(trained, tmp_path):
    assert (
        run(["train", "--config", str(trained / "config.yaml"), "--out", str(tmp_path / "b")]) == 0
    )
    assert read_yaml(tmp_path / "b" / "config.yaml") == read_yaml(trained / "config.yaml")
    from tests.training.test_resume import assert_same_state

    assert_same_state(find_checkpoint(tmp_path / "b"), find_checkpoint(trained))


def test_resume_needs_nothing_but_the_folder_and_takes_a_new_total(data, tmp_path):
    out = tmp_path / "run"
    assert run([*f"train cyclegan --data {data} --steps 2 --out {out}".split(), *TINY]) == 0
    assert run(f"train --out {out} --resume --steps 4".split()) == 0
    assert read_card(find_checkpoint(out)).step == 4
    assert run(f"train cyclegan --out {out} --resume --batch 2".split()) == 2


def test_one_command_both_starts_a_saved_configuration_and_resumes_it(trained, tmp_path, capsys):
    command = f"train --config {trained / 'config.yaml'} --out {tmp_path / 'run'} --resume"
    assert run(command.split()) == 0
    assert run([*command.split(), "--steps", "5"]) == 0
    assert read_card(find_checkpoint(tmp_path / "run")).step == 5
    assert "continuing" in capsys.readouterr().err
    assert run([*command.split(), "--seed", "5"]) == 2


def test_presets_add_up_in_the_order_given(data, tmp_path):
    out = tmp_path / "run"
    presets = "--preset small --preset gan-alone"
    command = f"train cyclegan {presets} --data {data} --steps 1 --out {out}"
    assert run([*command.split(), *TINY]) == 0
    config = read_yaml(out / "config.yaml")
    assert config.preset == "small+gan-alone"
    assert config.settings.loss.cycles == (0.0, 0.0)
    assert config.settings.generator.input_skip
    again = f"train {presets} --out {out} --resume --steps 2"
    assert run(again.split()) == 0
    assert read_card(find_checkpoint(out)).step == 2


def test_flags_override_the_preset_and_a_length_replaces_its_length(data, tmp_path):
    command = f"train cyclegan --preset paper --data {data} --steps 1 --out {tmp_path / 'a'}"
    assert run([*command.split(), *TINY]) == 0
    config = read_yaml(tmp_path / "a" / "config.yaml")
    assert (config.preset, config.steps, config.epochs, config.size) == ("paper", 1, None, 16)
    assert config.precision == "fp32"


def test_without_out_the_first_free_folder_is_taken(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        assert run([*f"train cyclegan --data {data} --steps 1".split(), *TINY]) == 0
        assert (tmp_path / "runs" / f"cyclegan-{number}" / "latest").exists()


def test_the_demo_takes_the_first_free_folder(tmp_path, monkeypatch):
    import unpaired.demonstration

    taken = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        unpaired.demonstration,
        "demo",
        lambda minutes, out, seed: (out.mkdir(parents=True), taken.append(out)),
    )
    for _ in range(3):
        assert run(["demo"]) == 0
    assert [path.as_posix() for path in taken] == ["runs/demo", "runs/demo-2", "runs/demo-3"]


def test_translate_writes_every_picture_and_says_so(trained, data, tmp_path, capsys):
    command = f"translate {trained} {data / 'testA'} --out {tmp_path / 'o'} --json {tmp_path / 'j'}"
    assert run(command.split()) == 0
    assert "2 translated, 0 skipped" in capsys.readouterr().out
    for source in (data / "testA").iterdir():
        with Image.open(source) as a, Image.open(tmp_path / "o" / source.name) as b:
            assert a.size == b.size
    summary = json.loads((tmp_path / "j").read_text())
    assert summary.pop("backend").split()[0] in ("torch", "OpenVINO")
    assert summary == {"translated": 2, "skipped": 0, "failed": []}
    assert run(command.split()) == 0
    assert "0 translated, 2 skipped" in capsys.readouterr().out


def test_an_out_that_names_a_picture_is_refused(trained, data, tmp_path, capsys):
    assert run(f"translate {trained} {data / 'testA'} --out {tmp_path / 'o.png'}".split()) == 2
    assert "give a folder" in capsys.readouterr().err
    assert not (tmp_path / "o.png").exists()


def test_a_film_among_pictures_is_refused_and_says_how(trained, data, tmp_path, capsys):
    (tmp_path / "a.mp4").write_bytes(b"film")
    assert run(f"translate {trained} {tmp_path / 'a.mp4'} --out {tmp_path / 'o'}".split()) == 2
    assert "is a film; films are translated one at a time" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_fast_tiling_of_a_small_picture_does_not_claim_an_error(trained, data, tmp_path, capsys):
    command = f"translate {trained} {data / 'testA'} --out {tmp_path / 'o'} --tiles fast"
    assert run(command.split()) == 0
    said = capsys.readouterr().err
    assert "too few pieces to tell" in said
    assert "nan" not in said


def test_a_picture_that_fails_is_named_and_the_exit_code_is_1(trained, data, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.png").write_bytes(b"no")
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "in" / "good.png")
    assert run(f"translate {trained} {tmp_path / 'in'} --out {tmp_path / 'o'}".split()) == 1
    said = capsys.readouterr()
    assert "bad.png" in said.err
    assert "1 translated" in said.out
    assert [p.name for p in (tmp_path / "o").iterdir()] == ["good.png"]


def test_data_list_and_check_speak(data, capsys, tmp_path):
    assert run(["data", "list"]) == 0
    assert "worldtiles:terrain-aerial" in capsys.readouterr().out
    assert run(["data", "check", str(data), "--json", str(tmp_path / "j")]) == 0
    said = capsys.readouterr().out
    assert "train_x" in said
    assert "only 7 pictures" in said
    assert run(["data", "check", "--data", str(data)]) == 0  # as `train` has it
    assert capsys.readouterr().out == said
    assert json.loads((tmp_path / "j").read_text())["splits"]["train_x"]["pictures"] == 7


def test_doctor_names_the_device_the_precision_and_the_room(capsys, tmp_path):
    assert run(["doctor", "--json", str(tmp_path / "j")]) == 0
    said = capsys.readouterr().out
    for word in ("torch", "--precision auto", "memory", "disk", "EffNetLite0"):
        assert word in said
    assert json.loads((tmp_path / "j").read_text())["devices"]["--device auto"]


def test_doctor_says_what_a_missing_part_matters_for_and_how_to_get_it(monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "unpaired.doctor.util.find_spec", lambda name: None if name == "av" else find(name)
    )
    assert run(["doctor"]) == 0
    part = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  av "))
    assert part.split(maxsplit=1)[1] == (
        "missing, matters only for translating films: pip install 'unpaired[video]'"
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_from_outside_ends_with_its_code_and_the_way_back(number, code, data, tmp_path):
    out = tmp_path / "run"
    command = f"train cyclegan --data {data} --steps 100000 --log-every 1 --out {out}"
    with subprocess.Popen(
        [sys.executable, "-m", "unpaired", *command.split(), *TINY],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        try:
            end = time.monotonic() + 300  # a busy machine may be slow to import torch
            while not (out / "metrics.jsonl").exists() or not (out / "metrics.jsonl").read_text():
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < end
                time.sleep(0.02)
            process.send_signal(number)
            assert process.wait(60) == code
            said = process.stderr.read()
        finally:
            process.kill()
    assert f"unpaired train --out {out} --resume" in said
    assert "Traceback" not in said
    read_card(find_checkpoint(out))


def test_output_to_a_reader_that_goes_away_is_quiet(tmp_path):
    result = subprocess.run(
        f"{sys.executable} -m unpaired data list | head -1",
        shell=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert "Traceback" not in result.stderr


def test_wrong_use_from_outside_keeps_stdout_clean(tmp_path):
    assert outside("nonsense", cwd=tmp_path).stdout == ""


def test_evaluate_every_scores_the_run_and_its_best_can_be_asked_for(tmp_path, monkeypatch, capsys):
    scores = iter([0.5, 0.3, 0.4])
    monkeypatch.setattr(
        "unpaired.evaluation.validation.KIDJudge", lambda: lambda seen: Judgement(next(scores))
    )
    for side in "xy":
        write_pictures(tmp_path / side, 30, 0)
    out = tmp_path / "run"
    command = f"train cyclegan --x {tmp_path / 'x'} --y {tmp_path / 'y'} --out {out} --steps 3"
    assert run([*command.split(), "--evaluate-every", "1", *TINY]) == 0
    assert read_card(find_checkpoint(out, "best")).step == 2
    command = f"translate {out} {tmp_path / 'x' / '00.png'} --out {tmp_path / 'o'} --checkpoint"
    assert run([*command.split(), "best"]) == 0
    assert run([*command.split(), "7"]) == 2
    assert 'no checkpoint "7"' in capsys.readouterr().err
