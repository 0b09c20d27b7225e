"""`unpaired board` from outside."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.board.folders import write_run
from tests.started import free_port
from unpaired.board import tensorboard
from unpaired.board.tensorboard import links_to
from unpaired.cli import run
from unpaired.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "no run to watch"),
        ("nowhere", 'no run at "nowhere"'),
        ("empty", 'no run in "empty"'),
        ("run --port 0", "--port is 0"),
        ("run --every 0", "--every is 0"),
        ("run --host nowhere.invalid --report", "cannot listen at nowhere.invalid"),
    ],
)
def test_mistakes_are_one_line(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run")
    (tmp_path / "empty").mkdir()
    assert run(["board", *words.split()]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("more", [[], ["--report"]])
def test_a_taken_port_is_said_before_anything_else(more, tmp_path, capsys):
    write_run(tmp_path / "run")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert run(["board", str(tmp_path / "run"), "--port", port, *more]) == 2
    assert f"cannot listen at 127.0.0.1:{port}" in capsys.readouterr().err


def test_tensorboard_is_led_to_every_runs_folder_by_its_name(tmp_path):
    runs = {"one": tmp_path / "o,n:e", "a/two": tmp_path / "a" / "two"}
    with links_to(runs) as folder:
        for name, run in runs.items():
            assert (folder / name).readlink() == run / "tensorboard"
        assert sorted(p.name for p in folder.iterdir()) == ["a", "one"]
    assert not folder.exists()


def test_where_links_are_refused_the_way_around_is_said(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    with pytest.raises(UserError, match="not permitted; give --report"), links_to({"a": tmp_path}):
        pass


def test_tensorboard_missing_or_failing_is_one_line(tmp_path, monkeypatch, capsys):
    write_run(tmp_path / "run")
    command = ["board", str(tmp_path / "run"), "--port", str(free_port())]
    monkeypatch.setattr(tensorboard.util, "find_spec", lambda name: None)
    assert run(command) == 2
    assert "pip install tensorboard" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setattr(tensorboard.sys, "executable", "/bin/false")
    assert run(command) == 2
    assert "ended with code 1" in capsys.readouterr().err


def started(*more: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "unpaired", "board", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        start_new_session=True,
    )


def answer(address: str, process: subprocess.Popen) -> str:
    """What stands there, once somebody answers."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=20) as page:
                return page.read().decode()
        except OSError:
            time.sleep(0.1)
    process.kill()
    raise AssertionError(process.communicate())


def test_ctrl_c_ends_the_page_without_a_traceback(tmp_path):
    write_run(tmp_path / "run")
    port = free_port()
    process = started(str(tmp_path), "--report", "--port", str(port))
    assert "40% done" in answer(f"http://127.0.0.1:{port}/", process)
    os.killpg(process.pid, signal.SIGINT)
    out, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (130, "interrupted\n")
    assert out == f"1 run at http://127.0.0.1:{port}/\n"


@pytest.mark.slow
def test_tensorboard_shows_runs_and_ctrl_c_ends_it(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    for name in ("one", "two"):
        folder = write_run(tmp_path / name)
        with SummaryWriter(str(folder / "tensorboard")) as writer:
            writer.add_scalar("gan_G", 1.0, 1)
    port = free_port()
    process = started(str(tmp_path), "--port", str(port))
    address = f"http://127.0.0.1:{port}/data/runs"
    found, end = [], time.monotonic() + 60
    while time.monotonic() < end and len(found) < 2:
        found = json.loads(answer(address, process))
        time.sleep(0.5)
    assert sorted(found) == ["one", "two"]
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in error
