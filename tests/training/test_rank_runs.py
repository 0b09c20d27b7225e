"""Whole runs of several processes: only one writes, all stop alike, and any number can go on."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.ranks import Ranks, command, slow_train
from tests.training.runs import tiny_config, write_dataset
from tests.training.test_resume import assert_same_state, wait_for_step
from unpaired.errors import UserError
from unpaired.training.checkpoint import read_state
from unpaired.training.config import OptimizerConfig, read_yaml, write_yaml
from unpaired.training.finding import find_checkpoint
from unpaired.training.run import train

STEPS = 12


def lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "set", train=21)


@pytest.fixture(scope="module")
def config(dataset, tmp_path_factory) -> Path:
    """Two processes with batches of 1; X has 21 pictures, an epoch 11 steps."""
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    write_yaml(tiny_config(dataset, steps=STEPS), path)
    return path


@pytest.fixture(scope="module")
def undisturbed(config, tmp_path_factory) -> Path:
    """The run of two processes that nobody disturbed: 12 steps, checkpoints at 4, 8, 12."""
    folder = tmp_path_factory.mktemp("two")
    run = folder / "run"
    ranks = Ranks(2, folder, command, "train", "--config", str(config), "--out", str(run))
    assert ranks.wait() == [0, 0], ranks.said(0) + ranks.said(1)
    return run


def copy_at_step_8(undisturbed: Path, tmp_path: Path) -> Path:
    run = tmp_path / "copy"
    shutil.copytree(undisturbed, run)
    shutil.rmtree(run / "checkpoints" / "step_00000012")
    (run / "latest").write_text("step_00000008\n")
    return run


def test_two_processes_train_like_one_with_twice_the_batch_and_only_the_first_speaks(
    dataset, tmp_path
):
    """With weights that all but stand still: Adam magnifies rounding, 12 steps to per cents."""
    still = OptimizerConfig(lr=1e-9)
    config, run = tmp_path / "config.yaml", tmp_path / "run"
    write_yaml(tiny_config(dataset, optimizer=still), config)
    ranks = Ranks(2, tmp_path, command, "train", "--config", str(config), "--out", str(run))
    assert ranks.wait() == [0, 0], ranks.said(0) + ranks.said(1)
    alone = tiny_config(dataset, optimizer=still, batch=2)
    train(alone, tmp_path / "alone", quiet=True)
    for one, two in zip(lines(tmp_path / "alone"), lines(run), strict=True):
        for name in one.keys() - {"seconds", "images_per_second"}:
            assert one[name] == pytest.approx(two[name], rel=1e-5), (one["step"], name)
    assert "done: 12 steps" in ranks.said(0)
    assert "next: unpaired translate" in ranks.said(0)
    assert ranks.said(1) == ""
    assert sorted(p.name for p in (run / "checkpoints").iterdir()) == [
        "step_00000008", "step_00000012",
    ]  # fmt: skip
    (session,) = json.loads((run / "environment.json").read_text())
    assert session["processes"] == 2


def test_a_signal_to_one_process_ends_all_after_the_same_step_and_the_run_resumes_bit_for_bit(
    config, undisturbed, tmp_path
):
    run = tmp_path / "run"
    ranks = Ranks(2, tmp_path / "first", slow_train, config, run, 0.1)
    wait_for_step(run, 5)
    os.kill(ranks.processes[1].pid, signal.SIGTERM)
    assert ranks.wait() == [143, 143], ranks.said(0) + ranks.said(1)
    step = read_state(find_checkpoint(run))[0].step
    assert step == lines(run)[-1]["step"] >= 5
    for rank in range(2):
        assert f"stopped at step {step}" in ranks.said(rank)
    ranks = Ranks(2, tmp_path / "second", command, "train", "--out", str(run), "--resume")
    assert ranks.wait() == [0, 0], ranks.said(0) + ranks.said(1)
    assert_same_state(find_checkpoint(run), find_checkpoint(undisturbed))


def test_one_process_goes_on_where_two_were_with_the_same_pictures_a_step(
    undisturbed, dataset, tmp_path
):
    run = copy_at_step_8(undisturbed, tmp_path)
    with pytest.raises(UserError, match="1 x 3 is not 2 pictures a step"):
        train(tiny_config(dataset, steps=STEPS, batch=3), run, resume=True, quiet=True)
    train(tiny_config(dataset, steps=STEPS, batch=2), run, resume=True, quiet=True)
    for one, two in zip(lines(run)[8:], lines(undisturbed)[8:], strict=True):
        assert one["epoch"] == two["epoch"]
        close = 1e-5 if one["step"] == 9 else 5e-2  # Adam magnifies rounding
        assert one["cycle_x"] == pytest.approx(two["cycle_x"], rel=close)


def test_three_processes_go_on_where_two_were_and_one_after_them(
    config, undisturbed, dataset, tmp_path
):
    """11 steps of 2 pictures are an epoch, 7 steps of 3: after 8 steps 16 pictures were shown."""
    run = copy_at_step_8(undisturbed, tmp_path)
    ranks = Ranks(3, tmp_path, command, "train", "--out", str(run), "--resume", "--steps", "11")
    assert ranks.wait() == [0, 0, 0], "".join(ranks.said(i) for i in range(3))
    assert "a step now takes 3 pictures of each domain; it took 2" in ranks.said(0)
    assert [line["epoch"] for line in lines(run)[8:]] == pytest.approx([6 / 7, 7 / 7, 8 / 7])
    train(tiny_config(dataset, steps=13), run, resume=True, quiet=True)  # alone, a picture a step
    assert [line["epoch"] for line in lines(run)[11:]] == pytest.approx([25 / 21, 26 / 21])


def test_a_mistake_is_said_once_whoever_finds_it_and_no_process_waits(config, dataset, tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("important")
    ranks = Ranks(2, tmp_path / "a", command, "train", "--config", str(config), "--out", str(taken))
    assert ranks.wait() == [2, 2]
    assert ranks.said(0).count("is not empty") == 1
    assert ranks.said(1) == ""

    gone = Ranks(2, tmp_path / "b", without_its_data, config, tmp_path / "run")
    assert gone.wait() == [2, 2]
    assert gone.said(0).count("no data at") == 1
    assert gone.said(1) == ""

    fewer = Ranks(2, tmp_path / "c", with_one_less, config, tmp_path / "run")
    assert fewer.wait() == [2, 2]
    assert fewer.said(0).count("process 1 sees other pictures than process 0") == 1
    assert fewer.said(1) == ""
    assert not (tmp_path / "run" / "checkpoints").exists()


def with_one_less(config: Path, out: Path) -> int:
    """Train, but on the second process's machine a picture is missing."""
    from unpaired.training import run as module

    whole = module.data_of

    def short(*arguments, **options):
        found = whole(*arguments, **options)
        return replace(found, train_x=found.train_x.subset(range(1, len(found.train_x))))

    if os.environ["RANK"] == "1":
        module.data_of = short
    return command("train", "--config", str(config), "--out", str(out))


def without_its_data(config: Path, out: Path) -> int:
    """Train, but the second process can't see the pictures."""
    from unpaired.training import run as module

    def blind(*arguments, **options):
        raise UserError('no data at "elsewhere"')

    if os.environ["RANK"] == "1":
        module.data_of = blind
    return command("train", "--config", str(config), "--out", str(out))


def test_a_process_that_hangs_is_noticed_within_the_timeout(config, tmp_path):
    run = tmp_path / "run"
    hurried = tmp_path / "config.yaml"
    tree = read_yaml(config)
    write_yaml(tiny_config(Path(tree.data), steps=10_000, timeout=3.0), hurried)
    ranks = Ranks(2, tmp_path, slow_train, hurried, run, 0.05)
    wait_for_step(run, 3)
    os.kill(ranks.processes[1].pid, signal.SIGSTOP)
    ranks.processes[0].join(120)
    assert ranks.processes[0].exitcode == 1
    ranks.processes[1].kill()
    assert "process 0 of 2: another process of the run has not answered for 3 s" in ranks.said(0)
    assert "--resume" in ranks.said(0)


LAUNCHED = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from unpaired.cli import run
from unpaired.training.trainer import Trainer

step = Trainer.step
def lost(trainer, *rest):
    if trainer.steps == 6 and os.environ["RANK"] == "1" == str(1 + restarts):
        os.kill(os.getpid(), int(os.environ["LOST_BY"]))
    return step(trainer, *rest)
restarts = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
Trainer.step = lost
sys.exit(run(sys.argv[1:]))
"""


def launched(
    launcher: list[str], *arguments: object, lost_by: int = 0
) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", *launcher, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=Path(__file__).parents[2],
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
            "LOST_BY": str(int(lost_by)),
        },
    )


TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


@pytest.mark.parametrize(
    ("lost_by", "step"),
    [(signal.SIGKILL, 4), pytest.param(signal.SIGTERM, 7, marks=pytest.mark.slow)],
)
def test_torchrun_restarts_a_run_that_lost_a_process_and_it_ends_as_if_nothing_had_happened(
    lost_by, step, config, undisturbed, tmp_path
):
    """A process is lost at step 7. Killed, it leaves the last checkpoint, at 4.

    A signal that asks it to end is heard by all: they finish the step, save it, and end, which to
    the launcher is a loss like any other.
    """
    script, run = tmp_path / "script.py", tmp_path / "run"
    script.write_text(LAUNCHED)
    launcher = [*TORCHRUN, "--max_restarts", "1", "--monitor_interval", "0.1"]
    done = launched(launcher, script, "train", "--config", config, "--out", run, lost_by=lost_by)
    assert done.returncode == 0, done.stderr
    assert ("stopped at step 7" in done.stderr) == (lost_by == signal.SIGTERM)
    assert "restarted by the launcher (1), a process was lost" in done.stderr
    assert f"continuing {run} from step {step}" in done.stderr
    assert_same_state(find_checkpoint(run), find_checkpoint(undisturbed))
    assert [line["step"] for line in lines(run)] == list(range(1, STEPS + 1))


def test_accelerate_launches_it_too(config, undisturbed, tmp_path):
    """With --cpu it would start one process: several on CPUs are mpirun's business there."""
    launcher = ["accelerate.commands.accelerate_cli", "launch", "--multi_gpu", "--num_processes"]
    launcher += ["2", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    run = tmp_path / "run"
    done = launched([*launcher, "-m", "unpaired"], "train", "--config", config, "--out", run)
    assert done.returncode == 0, done.stderr
    assert_same_state(find_checkpoint(run), find_checkpoint(undisturbed))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_launcher_ends_all_processes_with_a_checkpoint(number, config, tmp_path):
    run, longer = tmp_path / "run", tmp_path / "config.yaml"
    write_yaml(tiny_config(Path(read_yaml(config).data), steps=100_000), longer)
    options = ["--config", str(longer), "--out", str(run)]
    process = subprocess.Popen(
        [sys.executable, "-m", *TORCHRUN, "-m", "unpaired", "train", *options],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    wait_for_step(run, 6)
    process.send_signal(number)
    _, said = process.communicate(timeout=300)
    assert process.returncode != 0
    step = read_state(find_checkpoint(run))[0].step
    assert said.count(f"stopped at step {step}; continue with: unpaired train --out {run}") == 1
    assert lines(run)[-1]["step"] == step


@pytest.mark.slow
def test_minutes_and_early_stopping_end_all_processes_after_the_same_step(tmp_path):
    dataset = write_dataset(tmp_path / "set", train=24)
    for changes in (
        {"minutes": 0.05, "steps": None},
        {"steps": 10_000, "evaluate_every": 2, "stop_after": 2, "keep": 1},
    ):
        config, run = tmp_path / "config.yaml", tmp_path / f"run{len(changes)}"
        write_yaml(tiny_config(dataset, **changes), config)
        options = ("train", "--config", str(config), "--out", str(run))
        ranks = Ranks(2, tmp_path / f"logs{len(changes)}", command, *options)
        assert ranks.wait() == [0, 0], ranks.said(0) + ranks.said(1)
        step = read_state(find_checkpoint(run))[0].step
        assert f"done: {step} steps" in ranks.said(0)
        assert ranks.said(1) == ""
