"""Every mistake a user can make ends in one line, exit code 2, and nothing new on disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.runs import write_dataset, write_pictures
from unpaired.cli import run

TINY = ["--filters", "2", "--blocks", "1", "--size", "16"]
TINY += ["--discriminator.filters", "2", "--discriminator.layers", "2"]


def outside(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run the command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "unpaired", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        timeout=120,
    )


def everything_below(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A working folder with good and bad things in it."""
    write_dataset(tmp_path / "good")
    write_dataset(tmp_path / "half")
    for picture in (tmp_path / "half" / "trainB").iterdir():
        picture.unlink()
    write_pictures(tmp_path / "pictures", 2, 0)
    (tmp_path / "texts").mkdir()
    for i in range(3):
        (tmp_path / "texts" / f"{i}.txt").write_text("not a picture")
    (tmp_path / "liars").mkdir()
    for i in range(3):
        (tmp_path / "liars" / f"{i}.jpg").write_text("not a picture either")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "state.json").write_text("{}")
    (tmp_path / "a-file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").write_text("x")
    (tmp_path / "headless" / "checkpoints" / "step_00000004").mkdir(parents=True)
    (tmp_path / "bad.yaml").write_text("method: cyclegan\nbogus: 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


CASES = {
    "half a range": ("train cyclegan --data good --images.range 5", "give two numbers"),
    "a range of words": ("train cyclegan --data good --images.range a b", "is a b; give two"),
    "a range upside down": ("train cyclegan --data good --images.range 9 -9", "lower one first"),
    "a range too wide": ("train cyclegan --data good --images.range 0 4095", "uint8, 0 to 255"),
    "scores of a folder of runs": ("evaluate headless", "not a run folder"),
    "no verb of that name": ("trian", "did you mean train"),
    "unknown method": ("train cyclegam --data good", "did you mean cyclegan"),
    "unknown option": ("train cyclegan --stpes 3", "did you mean --steps"),
    "unknown nested option": ("train cyclegan --loss.cyle 3", "did you mean --loss.cycle"),
    "a longer word for an option": ("train cyclegan --steps-max 3", "did you mean --steps?"),
    "half an option": ("train cyclegan --checkp 3", "did you mean --checkpoint-every?"),
    "an option of the reference code": ("train cyclegan --dataroot good", "here it is --data)"),
    "one of two words": ("train cyclegan --batch_size 3", "here it is --batch)"),
    "not a number": ("train cyclegan --batch many", "--batch is many; give a whole number"),
    "not a whole number": ("train cyclegan --steps 1.5", "--steps is 1.5; give a whole number"),
    "not a rate": ("train cyclegan --optimizer.lr x", "--optimizer.lr is x; give a number"),
    "not a length": ("train cyclegan --minutes x", "--minutes is x; give a number"),
    "a value that is no choice": (
        "train cyclegan --precision fp8",
        "--precision is fp8; give one of auto, fp32, bf16, fp16",
    ),
    "an option without its value": ("train cyclegan --data good --steps", "--steps needs a value"),
    "the method not first": ("train --steps 3 cyclegan", "write: unpaired train cyclegan"),
    "numbers to nowhere": ("train cyclegan --data good --json no/f", "in a folder that is not"),
    "an unknown option before the verb": ("--verbos", 'unknown option "--verbos"'),
    "quiet and verbose": ("-q doctor --verbose", "contradict each other"),
    "help on nothing that there is": ("help trian", "did you mean train"),
    "completion of an unknown shell": ("completion tcsh", "bash, zsh, fish"),
    "a stray argument": ("train cyclegan good", "good"),
    "no data": ("train cyclegan --steps 1", "--data"),
    "only one domain": ("train cyclegan --x pictures --steps 1", "--y"),
    "data and x": ("train cyclegan --data good --x pictures", "--data and --x"),
    "the same folder twice": ("train cyclegan --x pictures --y pictures", "same folder"),
    "a saved data set as a folder": ("train cyclegan --x saved --y pictures", "--x hf://saved"),
    "a saved data set as both": ("train cyclegan --data saved", "--data hf://saved"),
    "missing folder": ("train cyclegan --data nowhere", "nowhere"),
    "missing domain folder": ("train cyclegan --x nowhere --y pictures", "nowhere"),
    "a file for a folder": ("train cyclegan --x a-file --y pictures", "a-file"),
    "a folder without domains": ("train cyclegan --data pictures", "trainA"),
    "one empty domain": ("train cyclegan --data half", "trainB"),
    "a folder of text files": ("train cyclegan --x texts --y pictures", "no images"),
    "text files that claim to be pictures": ("train cyclegan --x liars --y pictures", "liars"),
    "an unknown pair of views": ("train cyclegan --data worldtiles:map-moon", "map-moon"),
    "negative batch": ("train cyclegan --data good --batch -1", "--batch is -1"),
    "negative size": ("train cyclegan --data good --size -64", "--size is -64"),
    "size that is too small": ("train cyclegan --data good --size 16 --filters 2", "--size is 16"),
    "size that does not fit": ("train cyclegan --data good --size 18", "multiple of 4"),
    "negative filters": ("train cyclegan --data good --filters -2", "--filters is -2"),
    "zero steps": ("train cyclegan --data good --steps 0", "--steps is 0"),
    "two lengths": ("train cyclegan --data good --steps 1 --epochs 1", "--steps and --epochs"),
    "negative weight": ("train cyclegan --data good --loss.cycle -1", "--loss.cycle"),
    "negative rate": ("train cyclegan --data good --optimizer.lr -1", "--optimizer.lr"),
    "a device that is not there": ("train cyclegan --data good --device cuda:7", "cuda:7"),
    "unknown preset": ("train cyclegan --data good --preset huge", "huge"),
    "a folder that is not empty": ("train cyclegan --data good --steps 1 --out full", "not empty"),
    "out is a file": ("train cyclegan --data good --steps 1 --out a-file", "a-file"),
    "a bad configuration": ("train --config bad.yaml --out new", "bogus"),
    "a missing configuration": ("train --config none.yaml --out new", "none.yaml"),
    "resume without a run": ("train --resume", "--out"),
    "resume of nothing": ("train --resume --out pictures", "nothing to resume"),
    "resume without config.yaml": (
        "train --resume --out headless",
        '"headless" has checkpoints but no config.yaml',
    ),
    "resume without config.yaml, with a method": (
        "train cyclegan --data good --resume --out headless",
        "put its config.yaml back",
    ),
    "translate with no run": ("translate nowhere pictures --out new", "nowhere"),
    "translate a folder that is no run": ("translate pictures pictures --out new", "not a run"),
    "translate without out": ("translate pictures pictures", "missing --out DIR"),
    "translate a run without pictures": ("translate pictures", "missing PICTURES..., --out DIR"),
    "translate without anything": ("translate", "missing RUN, --out DIR"),
    "translate without pictures": ("translate pictures --out new", "no pictures to translate"),
    "translate in no batches": ("translate pictures pictures --out new --batch 0", "--batch is 0"),
    "evaluate without a run": ("evaluate", "no run to evaluate"),
    "evaluate what is not there": ("evaluate nowhere", "nowhere"),
    "evaluate a folder that is no run": ("evaluate pictures", "pictures"),
    "demo of no length": ("demo --minutes 0 --out new", "--minutes"),
    "demo of negative length": ("demo --minutes -3 --out new", "--minutes"),
    "demo into a full folder": ("demo --minutes 1 --out full", "not empty"),
    "data with a wrong verb": ("data chekc", "did you mean check"),
    "data list of something": ("data list good", "good"),
    "data check of nothing": ("data check", "--data"),
    "bench of an unknown method": ("bench --method cyclegam", "did you mean cyclegan"),
    "bench of what the method lacks": ("bench --method cogan --blocks 2", "--blocks is nothing"),
    "bench of a size that does not fit": ("bench --filters 2 --size 66", "multiple of 4"),
    "bench of a size that is too small": ("bench --filters 2 --size 16", "--size is 16"),
    "bench of a size twice": ("bench --size 64 64", "one size twice"),
    "bench of no batch": ("bench --batch 0", "--batch is 0"),
    "bench of no time": ("bench --seconds -1", "--seconds is -1"),
    "bench of tiny translations": ("bench --translate 4", "--translate is 4"),
    "bench of an unknown preset": ("bench --preset huge", "huge"),
    "bench on a device that is not there": ("bench --device cuda:7", "cuda:7"),
    "doctor with an unknown option": ("doctor --josn a", "did you mean --json"),
}


@pytest.mark.parametrize(("command", "message"), CASES.values(), ids=CASES.keys())
def test_a_mistake_is_one_line_and_leaves_no_trace(command, message, place, capsys):
    before = everything_below(place)
    code = run(command.split())
    said = capsys.readouterr().err
    assert code == 2, said
    assert said.startswith("unpaired: error: ")
    assert said.count("\n") == 1
    assert message in said
    assert everything_below(place) == before


def test_from_outside_there_is_no_traceback_either(place):
    before = everything_below(place)
    result = outside("train", "cyclegan", "--data", "nowhere", cwd=place)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert everything_below(place) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_one_line_and_the_earlier_checkpoint_stays(place):
    disk = place / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], check=True)
    try:
        command = f"train cyclegan --data good --steps 400 --keep 50 --out {disk}/run"
        result = outside(*command.split(), "--checkpoint-every", "1", *TINY, cwd=place)
        assert result.returncode == 2, result.stderr
        last = result.stderr.splitlines()[-1]
        assert last.startswith("unpaired: error: ")
        assert "no space left" in last.lower()
        assert "Traceback" not in result.stderr
        from unpaired.training.checkpoint import read_state
        from unpaired.training.finding import find_checkpoint

        read_state(find_checkpoint(disk / "run"))
        assert not list((disk / "run" / "checkpoints").glob(".*"))
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a read-only disk")
def test_a_folder_that_may_not_be_written_is_one_line(place):
    disk = place / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk], check=True)
    try:
        command = f"train cyclegan --data good --steps 1 --out {disk}/run"
        result = outside(*command.split(), *TINY, cwd=place)
        assert result.returncode == 2, result.stderr
        assert result.stderr.count("\n") == 1
        assert "read-only" in result.stderr
    finally:
        subprocess.run(["umount", disk], check=True)


def test_too_little_memory_is_one_line(place, monkeypatch, capsys):

    def starve(arguments):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ... bytes")

    monkeypatch.setattr("unpaired.cli.demo.run", starve)
    assert run(["demo"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "--batch" in said


def test_the_doctor_says_so_when_torch_is_missing(place, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "unpaired.doctor", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run(["doctor"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "torch" in said


def test_no_permission_is_one_line(place, monkeypatch, capsys):
    """As root no permission is refused, so the refusal is played."""

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    code = run([*["train", "cyclegan", "--data", "good", "--steps", "1", "--out", "new"], *TINY])
    said = capsys.readouterr().err
    assert code == 2
    assert said.count("\n") == 1
    assert "permission denied" in said
    assert not (place / "new").exists()
