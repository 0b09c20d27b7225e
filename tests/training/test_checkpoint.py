"""Checkpoints are whole or absent, describe themselves, and are found."""

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import unpaired.training.checkpoint as module
from tests.training.runs import resealed, tiny_config, write_dataset
from unpaired import whole
from unpaired.data.batches import AHEAD
from unpaired.errors import UserError
from unpaired.training.card import DamagedError, card_text, read_card, read_files
from unpaired.training.checkpoint import load_method, prune, read_state, save_checkpoint
from unpaired.training.finding import find_checkpoint
from unpaired.training.run import train
from unpaired.training.trainer import Trainer
from unpaired.training.validation import Judgement


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    data = write_dataset(folder / "data")
    return train(tiny_config(data, steps=4, checkpoint_every=2), folder / "run", quiet=True)


def test_a_checkpoint_says_all_that_is_needed_to_use_it(run):
    card = read_card(find_checkpoint(run))
    assert (card.method, card.channels_x, card.channels_y) == ("cyclegan", 3, 3)
    assert (card.dtype_x, card.dtype_y, card.size, card.step) == ("uint8", "uint8", 16, 4)
    assert card.directions == ("x2y", "y2x")
    assert card.settings["generator"]["norm"] == "instance"
    method, _ = load_method(find_checkpoint(run))
    images = torch.zeros(1, 3, 16, 16)
    assert method.translate(images, "x2y").shape == images.shape
    assert not method.training


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_whoever_may_read_the_card_may_read_the_weights(run):
    files = list(find_checkpoint(run).iterdir())
    assert len({path.stat().st_mode for path in files}) == 1, files


def test_the_averaged_weights_translate_unless_the_last_ones_are_asked_for(run):
    _, state = read_state(find_checkpoint(run))
    averaged, _ = load_method(find_checkpoint(run))
    last, _ = load_method(find_checkpoint(run), averaged=False)
    name = "G.model.1.weight"
    assert torch.equal(averaged.state_dict()[name], state.tensors["ema"][name])
    assert torch.equal(last.state_dict()[name], state.tensors["weights"][name])
    assert not torch.equal(averaged.state_dict()[name], last.state_dict()[name])


def test_latest_best_and_numbers_are_found_and_others_refused_with_what_there_is(run):
    assert find_checkpoint(run).name == "step_00000004"
    assert find_checkpoint(run, "2").name == "step_00000002"
    assert find_checkpoint(run / "checkpoints" / "step_00000002").name == "step_00000002"
    with pytest.raises(UserError, match="it has steps 2, 4"):
        find_checkpoint(run, "3")
    with pytest.raises(UserError, match='no checkpoint "best"'):
        find_checkpoint(run, "best")
    with pytest.raises(UserError, match="latest, best or a step number"):
        find_checkpoint(run, "newest")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="not a run folder"):
        find_checkpoint(tmp_path)
    with pytest.raises(UserError, match="no run at"):
        find_checkpoint(tmp_path / "missing")


def copy_of(run: Path, tmp_path: Path) -> Path:
    shutil.copytree(run, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_pointer_lost_between_rename_and_replace_falls_back_to_the_newest(run, tmp_path):
    copy = copy_of(run, tmp_path)
    (copy / "latest").unlink()
    assert find_checkpoint(copy).name == "step_00000004"
    (copy / "latest").write_text("step_00000099\n")
    assert find_checkpoint(copy).name == "step_00000004"


@pytest.mark.parametrize("when", range(1, 12))  # files, folders, and the pointer
def test_a_full_disk_at_any_write_leaves_the_earlier_checkpoint_and_no_partial_one(
    when, run, tmp_path, monkeypatch
):
    copy = copy_of(run, tmp_path)
    card, state = read_state(find_checkpoint(copy))
    later = module.Card(**{**card.__dict__, "step": 6})
    calls = 0
    sync = whole.sync

    def full(path):
        nonlocal calls
        calls += 1
        if calls == when:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        sync(path)

    for place in (module, whole):
        monkeypatch.setattr(place, "sync", full)
    with pytest.raises(UserError, match="no space left") as error:
        save_checkpoint(copy, later, state)
    assert "--resume" in str(error.value)
    assert read_state(find_checkpoint(copy))[0].step in (4, 6)
    assert not list((copy / "checkpoints").glob(".*"))


def test_a_full_disk_at_a_sample_grid_is_one_line_and_the_run_goes_on_from_its_checkpoint(
    tmp_path, monkeypatch
):
    config = tiny_config(write_dataset(tmp_path / "data"), steps=4, checkpoint_every=2)
    config = replace(config, sample_every=3)
    whole_bytes = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.parent.name == "samples" and list(path.parent.glob("step_*")):  # not the first
            whole_bytes(path, content[:10])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return whole_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="no space left on device; make room") as error:
        train(config, tmp_path / "run", quiet=True)
    assert "\n" not in str(error.value)
    assert [p.name for p in (tmp_path / "run" / "samples").iterdir()] == ["step_00000000.png"]
    assert read_state(find_checkpoint(tmp_path / "run"))[0].step == 2
    monkeypatch.setattr(Path, "write_bytes", whole_bytes)
    run = train(config, tmp_path / "run", resume=True, quiet=True)
    assert read_state(find_checkpoint(run))[0].step == 4
    assert len(list((run / "samples").iterdir())) == 3


def test_only_the_last_and_the_pointed_at_are_kept(run, tmp_path):
    copy = copy_of(run, tmp_path)
    card, state = read_state(find_checkpoint(copy))
    for step in (6, 8, 10):
        save_checkpoint(copy, module.Card(**{**card.__dict__, "step": step}), state)
    module.point(copy, "best", "step_00000006")
    prune(copy, keep=2, say=pytest.fail)
    names = {p.name for p in (copy / "checkpoints").iterdir()}
    assert names == {"step_00000006", "step_00000008", "step_00000010"}


def test_a_checkpoint_that_can_t_be_deleted_stays_and_is_told_once_in_a_run(
    tmp_path, monkeypatch, capsys
):
    whole_rename = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if target.name.startswith(".old.step_00000001"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return whole_rename(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    data = write_dataset(tmp_path / "data")
    run = train(tiny_config(data, steps=4, checkpoint_every=1, keep=1), tmp_path / "run")
    kept = sorted(p.name for p in (run / "checkpoints").iterdir())
    assert kept == ["step_00000001", "step_00000004"]
    said = capsys.readouterr().err
    assert said.count('step_00000001": permission denied; it takes room') == 1


def test_what_is_left_of_a_checkpoint_is_told_while_all_else_of_it_goes(run, tmp_path, monkeypatch):
    copy, said = copy_of(run, tmp_path), []
    left = copy / "checkpoints" / ".old.step_00000001.7"
    shutil.copytree(find_checkpoint(copy), left)
    whole_unlink = os.unlink

    def unlink(path, **options):
        if path == "random.safetensors":
            raise OSError(errno.EBUSY, "Device or resource busy", path)
        whole_unlink(path, **options)

    monkeypatch.setattr(os, "unlink", unlink)
    prune(copy, keep=2, say=said.append)
    assert [p.name for p in left.iterdir()] == ["random.safetensors"]
    assert said == [
        f'warning: cannot delete "{left}": device or resource busy; it takes room until you do'
    ]
    monkeypatch.undo()
    prune(copy, keep=2, say=said.append)
    assert not left.exists()
    assert len(said) == 1


def test_a_newer_format_is_refused(run, tmp_path):
    copy = copy_of(run, tmp_path)
    path = find_checkpoint(copy) / "checkpoint.json"
    card, files = read_files(path.parent)
    path.write_text(card_text(replace(card, format=99), files))
    with pytest.raises(UserError, match="newer version"):
        read_card(path.parent)


@pytest.mark.parametrize(
    "change",
    [
        {"channels_x": -3},
        {"size": 0},
        {"multiple": 0},
        {"dtype_y": "float64"},
        {"directions": ["sideways"]},
        {"directions": []},
        {"method": "__import__"},
        {"settings": {"filters": "many"}},
    ],
)
def test_a_card_with_a_value_that_none_has_is_refused(change, run, tmp_path):
    copy = copy_of(run, tmp_path)
    path = find_checkpoint(copy) / "checkpoint.json"
    path.write_text(resealed({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError):
        load_method(path.parent)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"directions": ["y2x"]}, "the card says directions y2x, but its networks have x2y and"),
        ({"directions": ["y2x", "x2y"]}, "directions"),
        ({"multiple": 64}, "the card says multiple 64, but its networks have 4"),
        ({"multiple": 2}, "multiple"),
    ],
)
def test_a_resealed_card_that_says_what_its_networks_are_not_is_refused(
    change, words, run, tmp_path
):
    copy = copy_of(run, tmp_path)
    path = find_checkpoint(copy) / "checkpoint.json"
    path.write_text(resealed({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match=words):
        load_method(path.parent)


def test_a_card_that_was_changed_by_one_digit_is_damaged(run, tmp_path):
    copy = copy_of(run, tmp_path)
    path = find_checkpoint(copy) / "checkpoint.json"
    path.write_text(path.read_text().replace('"multiple": 4', '"multiple": 8'))
    with pytest.raises(DamagedError, match="not what was written"):
        load_method(path.parent)
    tree = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in tree.items() if k != "sha256"}))
    assert read_card(path.parent).multiple == 8  # the first cards had no seal


def test_best_is_the_lowest_score_and_last_stays_beside_it(tmp_path):
    data = write_dataset(tmp_path / "data", train=24)
    scores = iter([3.0, 1.0, 2.0])
    config = tiny_config(data, steps=6, evaluate_every=2, checkpoint_every=2, keep=1)
    run = train(config, tmp_path / "run", judge=lambda seen: Judgement(next(scores)), quiet=True)
    assert read_card(find_checkpoint(run, "best")).step == 4
    assert read_card(find_checkpoint(run, "best")).score == 1.0
    assert read_card(find_checkpoint(run)).step == 6


def test_a_skipped_file_is_warned_of_and_noted_once_however_often_the_run_is_resumed(
    tmp_path, capsys
):
    data = write_dataset(tmp_path / "data", train=40)
    (data / "trainA" / "03.png").write_bytes(b"no picture")
    run = train(tiny_config(data, steps=1), tmp_path / "run")
    assert "03.png" in capsys.readouterr().err
    train(tiny_config(data, steps=2), run, resume=True, quiet=True)
    lines = (run / "skipped.txt").read_text().splitlines()
    assert len(lines) == 1
    assert "03.png" in lines[0]


def test_when_the_data_vanish_every_step_taken_is_saved(tmp_path, monkeypatch):
    data = write_dataset(tmp_path / "data")
    config = tiny_config(data, steps=50, cache=0.0, checkpoint_every=100)
    step, taken = Trainer.step, []

    def step_and_vanish(self, *args):
        if self.steps == 4:
            shutil.rmtree(data)
        taken.append(self.steps)
        return step(self, *args)

    monkeypatch.setattr(Trainer, "step", step_and_vanish)
    with pytest.raises(UserError, match="no readable picture is left"):
        train(config, tmp_path / "run", quiet=True)
    assert 5 <= len(taken) <= 5 + AHEAD  # batches that were made ahead
    assert read_state(find_checkpoint(tmp_path / "run"))[0].step == len(taken)
