"""What a run folder says of its run, whole or damaged."""

import fcntl
import json
import sys
import time

import pytest

from tests.board.folders import note, write_run
from unpaired.board.locks import is_held
from unpaired.board.runs import runs_in
from unpaired.board.state import LINES, state_of
from unpaired.errors import UserError
from unpaired.training.folder import lock

linux = pytest.mark.skipif(sys.platform != "linux", reason="locks are listed by Linux alone")


def test_progress_pace_and_time_left_are_those_of_the_lines(tmp_path):
    run = write_run(tmp_path / "run")
    with lock(run, print):
        state = state_of(run)
    assert state.kind == "training"
    assert (state.step, state.progress, state.seconds, state.rate) == (40, 0.4, 20.0, 2.0)
    assert state.left == pytest.approx(30.0)  # 60 steps at 2 a second
    assert state.samples == ["step_00000000.png", "step_00000010.png"]
    assert state.best is None


def test_time_left_goes_by_the_last_lines_alone(tmp_path):
    run = write_run(tmp_path / "run", lines=0)
    slow = [{"step": i, "seconds": 100.0 * i} for i in range(1, 31)]
    fast = [{"step": 30 + i, "seconds": 3000.0 + i} for i in range(1, 21)]
    note(run, "metrics.jsonl", *({**line, "images_per_second": 1.0} for line in slow + fast))
    with lock(run, print):
        assert state_of(run).left == pytest.approx(50.0)  # steps, at one a second


@pytest.mark.parametrize(
    ("config", "progress", "left"),
    [
        ({"steps": None, "epochs": 8}, 0.25, 60.0),
        ({"steps": None, "minutes": 1.0}, 1 / 3, 40.0),
        ({"steps": None}, 2 / 200, 1980.0),
    ],
)
def test_every_way_to_say_a_length_is_understood(tmp_path, config, progress, left):
    run = write_run(tmp_path / "run", **config)
    with lock(run, print):
        state = state_of(run)
    assert state.progress == pytest.approx(progress)
    assert state.left == pytest.approx(left)


@linux
def test_a_run_whose_process_is_gone_is_told_from_one_that_goes_and_one_that_is_done(tmp_path):
    run = write_run(tmp_path / "run")
    assert state_of(run, now=time.time() + 720).kind == "gone"
    assert state_of(run, now=time.time() + 720).age == pytest.approx(720, abs=5)
    with lock(run, print):
        assert state_of(run).kind == "training"
    assert state_of(write_run(tmp_path / "done", lines=10)).kind == "finished"
    begun = write_run(tmp_path / "begun", lines=0, grids=0)
    with lock(begun, print):
        state = state_of(begun)
    assert (state.kind, state.step, state.lines, state.samples) == ("starting", 0, [], [])


@linux
def test_imported_weights_are_neither_stopped_nor_at_nothing(tmp_path):
    run = write_run(tmp_path / "run", lines=0, grids=0, method="imported", steps=None)
    state = state_of(run)
    assert (state.kind, state.progress) == ("imported", None)


def test_looking_at_a_lock_does_not_touch_it(tmp_path, monkeypatch):
    assert is_held(tmp_path) is False
    with lock(tmp_path, print):
        monkeypatch.setattr(fcntl, "flock", lambda *_: pytest.fail("took a lock"))
        assert is_held(tmp_path) is True
        monkeypatch.undo()
    assert is_held(tmp_path) is False


def test_where_locks_are_not_listed_silence_tells(tmp_path, monkeypatch):
    assert is_held(tmp_path, locks=tmp_path / "none") is None
    monkeypatch.setattr("unpaired.board.state.is_held", lambda folder: None)
    run = write_run(tmp_path / "run")
    assert state_of(run).kind == "training"
    assert state_of(run, now=time.time() + 400).kind == "silent"
    assert state_of(write_run(tmp_path / "done", lines=10)).kind == "finished"


def test_a_run_that_stop_after_ended_is_finished(tmp_path):
    run = write_run(tmp_path / "run", stop_after=2)
    scores = [0.5, 0.2, 0.3, 0.4]
    lines = [{"step": 41 + i, "validation_score": s, "kid_x2y": s} for i, s in enumerate(scores)]
    note(run, "metrics.jsonl", *lines)
    state = state_of(run)
    assert (state.kind, state.best, state.last) == ("finished", (42, 0.2), (44, 0.4))
    assert "2 evaluations in a row" in state.why


def test_damage_is_left_out_and_never_fails(tmp_path):
    run = write_run(tmp_path / "run")
    note(run, "metrics.jsonl", '{"step": 50, "gan_G"', "[1, 2]", '{"step": true}', "\x00\xff", "{}")
    note(run, "metrics.jsonl", '{"step": 60, "gan_G": "much", "cycle_x": NaN, "lr": 1e-4}')
    note(run, "metrics.jsonl", '{"step": -5, "lr": 1}', '{"step": 61, "lr": [1]}')
    note(run, "findings.jsonl", "what", {"step": 3}, {"step": 3, "name": 1, "severity": "x"})
    (run / "checkpoints" / "step_00000070").mkdir(parents=True)
    (run / "samples" / "step_x.png").touch()
    state = state_of(run)
    assert state.step == 61
    assert state.lines[-2] == {"step": 60, "lr": 1e-4}
    assert (state.findings, len(state.samples)) == ([], 2)
    (run / "config.yaml").write_bytes(b"\xff\xfe: [")
    assert (state_of(run).config, state_of(run).progress) == ({}, None)
    (run / "config.yaml").write_text("- 1\n- 2\n")
    assert state_of(run).config == {}


def test_long_runs_are_thinned_but_keep_evaluations_and_the_end(tmp_path):
    run = write_run(tmp_path / "run", steps=10**6)
    text = "".join(json.dumps({"step": i, "gan_G": 1.0}) + "\n" for i in range(41, 20_000))
    note(run, "metrics.jsonl", text.rstrip(), {"step": 20_000, "validation_score": 1.0})
    state = state_of(run)
    assert len(state.lines) <= LINES + 2
    assert state.lines[-1] == {"step": 20_000, "validation_score": 1.0}


def test_folders_are_searched_and_named_by_what_tells_them_apart(tmp_path):
    for name in ("a/run", "b/run", "b/deep/other"):
        write_run(tmp_path / name)
    write_run(tmp_path / "b/run/checkpoints/not-one")
    write_run(tmp_path / "b/deep/er/too")
    found = runs_in([tmp_path])
    assert found == {
        "a/run": tmp_path / "a/run",
        "b/run": tmp_path / "b/run",
        "other": tmp_path / "b/deep/other",
    }
    assert list(runs_in([tmp_path / "a/run", tmp_path / "a"])) == ["run"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no run in"):
        runs_in([tmp_path / "empty"])
    with pytest.raises(UserError, match="no run at"):
        runs_in([tmp_path / "nowhere"])
