"""A run that is killed and resumed ends exactly where the undisturbed run ends."""

import json
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.extras import need
from tests.training.runs import (
    in_process,
    resealed,
    seal,
    tiny_config,
    write_dataset,
    write_pictures,
)
from unpaired.errors import UserError
from unpaired.training.checkpoint import TENSOR_FILES, read_state
from unpaired.training.config import read_yaml, with_changes, write_yaml
from unpaired.training.finding import find_checkpoint
from unpaired.training.run import train

SCRIPT = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from unpaired.training.config import read_yaml
from unpaired.training.interruption import Interrupted
from unpaired.training.run import train
from unpaired.training.trainer import Trainer

slow = float(sys.argv[4])
step = Trainer.step
Trainer.step = lambda *a: (time.sleep(slow), step(*a))[1]
try:
    train(read_yaml(Path(sys.argv[1])), Path(sys.argv[2]), resume=sys.argv[3] == "resume")
except Interrupted as stop:
    print(stop, file=sys.stderr)
    sys.exit(stop.exit_code)
"""


def start(config: Path, out: Path, *, resume: bool = False, slow: float = 0.0):
    return in_process(SCRIPT, config, out, "resume" if resume else "new", str(slow))


def wait_for_step(run: Path, step: int) -> None:
    """Until metrics.jsonl shows `step`."""
    metrics, end = run / "metrics.jsonl", time.monotonic() + 60
    while time.monotonic() < end:
        if metrics.exists() and f'"step": {step},' in metrics.read_text():
            return
        time.sleep(0.005)
    raise AssertionError(f"step {step} was never reached")


def assert_same_state(a: Path, b: Path) -> None:
    """Every tensor and every value of two checkpoints is equal, but for the wall clock."""
    (card_a, one), (card_b, two) = read_state(a), read_state(b)
    assert card_a == card_b
    for name in TENSOR_FILES:
        assert one.tensors[name].keys() == two.tensors[name].keys(), name
        for key, value in one.tensors[name].items():
            assert torch.equal(value, two.tensors[name][key]), f"{name}: {key}"
    for state in (one, two):
        state.values["run"].pop("seconds")
    assert one.values == two.values


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(scope="module")
def config(dataset, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    write_yaml(tiny_config(dataset), path)
    return path


@pytest.fixture(scope="module")
def undisturbed(config, tmp_path_factory) -> Path:
    """The run that nobody killed: 12 steps, epochs of 7, checkpoints at 4, 8, 12."""
    run = tmp_path_factory.mktemp("runs") / "undisturbed"
    process = start(config, run)
    assert process.wait(60) == 0, process.stderr.read()
    return run


def test_resumed_run_equals_uninterrupted_run_after_sigkill_in_the_middle_of_an_epoch(
    config, undisturbed, tmp_path
):
    run = tmp_path / "run"
    process = start(config, run, slow=0.05)
    wait_for_step(run, 6)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert read_state(find_checkpoint(run))[0].step == 4
    assert start(config, run, resume=True).wait(60) == 0
    assert_same_state(find_checkpoint(run), find_checkpoint(undisturbed))
    sessions = json.loads((run / "environment.json").read_text())
    assert [facts["step"] for facts in sessions] == [0, 4]  # where each session began
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 13))


@pytest.mark.parametrize("options", [pytest.param("", marks=pytest.mark.slow), "?streaming=1"])
def test_a_run_over_a_table_that_was_killed_goes_on_as_if_it_had_not_been(options, tmp_path):
    """A parquet file, rows by their numbers or as a stream; killed between two checkpoints."""
    table = tmp_path / "table.parquet"
    rows = [p.read_bytes() for p in sorted(write_pictures(tmp_path / "x", 24, 1).iterdir())]
    features = need("datasets").Features({"image": need("datasets").Image()})
    column = {"image": [{"bytes": row, "path": None} for row in rows]}
    need("datasets").Dataset.from_dict(column, features=features).to_parquet(table)
    y = str(write_pictures(tmp_path / "y", 9, 2))
    config = replace(tiny_config(tmp_path), data=None, x=f"hf://{table}{options}", y=y)
    write_yaml(config, tmp_path / "config.yaml")
    whole, run = tmp_path / "whole", tmp_path / "run"
    train(config, whole)
    process = start(tmp_path / "config.yaml", run, slow=0.05)
    wait_for_step(run, 6)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert read_state(find_checkpoint(run))[0].step == 4
    train(config, run, resume=True)
    assert_same_state(find_checkpoint(run), find_checkpoint(whole))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 13))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_finishes_the_step_saves_it_and_says_how_to_resume(
    number, code, config, undisturbed, tmp_path
):
    run = tmp_path / "run"
    process = start(config, run, slow=0.05)
    wait_for_step(run, 5)
    process.send_signal(number)
    assert process.wait(60) == code
    step = read_state(find_checkpoint(run))[0].step
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert step == json.loads(lines[-1])["step"] >= 5
    assert f"unpaired train --out {run} --resume" in process.stderr.read()
    assert start(config, run, resume=True).wait(60) == 0
    assert_same_state(find_checkpoint(run), find_checkpoint(undisturbed))


def copy_at_step_8(undisturbed: Path, tmp_path: Path) -> Path:
    """The undisturbed run as if it had been stopped at step 8."""
    run = tmp_path / "copy"
    shutil.copytree(undisturbed, run)
    shutil.rmtree(run / "checkpoints" / "step_00000012")
    (run / "latest").write_text("step_00000008\n")
    return run


def fields(tree: dict, prefix: tuple = ()) -> list[tuple]:
    """The path of every value in nested dictionaries."""
    found = []
    for key, value in tree.items():
        found += [(*prefix, key)]
        if isinstance(value, dict):
            found += fields(value, (*prefix, key))
    return found


@pytest.mark.parametrize("per_file", [6, pytest.param(None, marks=pytest.mark.slow)])
def test_deleting_any_one_field_of_a_checkpoint_makes_the_resume_refuse_or_differ(
    per_file, config, undisturbed, tmp_path
):
    """No field is decoration: each is needed to end at the same state.

    Args: per_file: how many tensors of a file are tried, for every one costs a run; None: all.
    """
    run = copy_at_step_8(undisturbed, tmp_path)
    checkpoint = run / "checkpoints" / "step_00000008"
    originals = {p.name: p.read_bytes() for p in checkpoint.iterdir()}

    def refused_or_different() -> bool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "get_num_threads", lambda: 1)
            copy = tmp_path / "trial"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(run, copy)
            try:
                train(read_yaml(config), copy, resume=True, quiet=True)
                assert_same_state(find_checkpoint(copy), find_checkpoint(undisturbed))
            except (UserError, AssertionError):
                return True
            return False

    assert not refused_or_different(), "untouched, it must resume and be equal"

    def restore() -> None:
        for name, content in originals.items():
            (checkpoint / name).write_bytes(content)

    survived = []
    for name in TENSOR_FILES:
        tensors = load_file(checkpoint / f"{name}.safetensors")
        for key in list(tensors)[:: max(1, len(tensors) // (per_file or len(tensors)))]:
            save_file(
                {k: v for k, v in tensors.items() if k != key}, checkpoint / f"{name}.safetensors"
            )
            seal(checkpoint)
            if not refused_or_different():
                survived.append(f"{name}: {key}")
            restore()
    state = json.loads(originals["state.json"])
    for path in fields(state):
        if path[:2] == ("run", "seconds"):
            continue  # the wall clock is not part of the comparison
        tree = json.loads(originals["state.json"])
        inner = tree
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        (checkpoint / "state.json").write_text(json.dumps(tree))
        seal(checkpoint)
        if not refused_or_different():
            survived.append(f"state.json: {path}")
        restore()
    for name in originals:
        (checkpoint / name).unlink()
        if not refused_or_different():
            survived.append(name)
        restore()
    card = json.loads(originals["checkpoint.json"])
    for key in card:
        if key in ("preset", "score", "format", "sha256", "units_x", "units_y"):
            continue  # optional by definition; no units is what this run has
        (checkpoint / "checkpoint.json").write_text(
            resealed({k: v for k, v in card.items() if k != key})
        )
        if not refused_or_different():
            survived.append(f"checkpoint.json: {key}")
        restore()
    assert survived == []


def test_damage_anywhere_in_a_checkpoint_is_refused_by_name(undisturbed, config, tmp_path):
    run = copy_at_step_8(undisturbed, tmp_path)
    checkpoint = run / "checkpoints" / "step_00000008"
    for path in sorted(checkpoint.iterdir()):
        whole = path.read_bytes()
        for damaged in (
            whole[: len(whole) // 2],
            whole[:-1] + bytes([whole[-1] ^ 1]),
            b"",
        ):
            path.write_bytes(damaged)
            with pytest.raises(UserError, match=path.name.replace(".", r"\.")):
                train(read_yaml(config), run, resume=True, quiet=True)
        path.write_bytes(whole)


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one_and_ends_the_same(
    undisturbed, config, tmp_path, capsys
):
    run = tmp_path / "copy"
    shutil.copytree(undisturbed, run)
    damaged = run / "checkpoints" / "step_00000012" / "optimizers.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: 1)
        train(read_yaml(config), run, resume=True)
    said = capsys.readouterr().err
    assert f'"{damaged}" is damaged' in said
    assert "refused, going on from step 8 instead" in said
    assert f"continuing {run} from step 8" in said
    assert_same_state(find_checkpoint(run), find_checkpoint(undisturbed))
    assert len(list((run / "checkpoints").iterdir())) == 2


def test_the_refused_checkpoint_is_latest_no_more(undisturbed, config, tmp_path):
    run = tmp_path / "copy"
    shutil.copytree(undisturbed, run)
    (run / "checkpoints" / "step_00000012" / "checkpoint.json").unlink()
    (run / "latest").write_bytes(b"\xff\xfe\x00")
    (run / "metrics.jsonl").write_bytes(b"\xff\n{}\n[1]\n" + (run / "metrics.jsonl").read_bytes())
    train(with_changes(read_yaml(config), {"steps": 8}), run, resume=True, quiet=True)
    assert find_checkpoint(run).name == "step_00000008"
    (run / "checkpoints" / "step_00000008" / "ema.safetensors").unlink()
    with pytest.raises(UserError, match=r"ema.safetensors.* is missing.*there is none before it"):
        train(read_yaml(config), run, resume=True, quiet=True)


def test_resume_refuses_a_setting_that_would_change_the_run(undisturbed, dataset, tmp_path):
    run = copy_at_step_8(undisturbed, tmp_path)
    with pytest.raises(UserError, match="--batch differs"):
        train(tiny_config(dataset, batch=2), run, resume=True, quiet=True)
    without_identity = with_changes(tiny_config(dataset), {"settings.loss.identity": 0.0})
    with pytest.raises(UserError, match=r"--loss\.identity differs"):
        train(without_identity, run, resume=True, quiet=True)


def test_a_finished_run_can_be_made_longer(undisturbed, dataset, tmp_path):
    run = tmp_path / "copy"
    shutil.copytree(undisturbed, run)
    train(tiny_config(dataset, steps=14), run, resume=True, quiet=True)
    assert read_state(find_checkpoint(run))[0].step == 14


def test_a_second_process_is_kept_out_of_a_run_that_goes_on(config, tmp_path):
    run = tmp_path / "run"
    first = start(config, run, slow=0.1)
    wait_for_step(run, 4)
    with pytest.raises(UserError, match="another process is training"):
        train(read_yaml(config), run, resume=True, quiet=True)
    assert first.wait(60) == 0
    assert read_state(find_checkpoint(run))[0].step == 12
