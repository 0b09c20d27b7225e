"""Run folders that somebody else wrote, and clients that mean no good."""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.board.folders import board, note, write_run
from unpaired.board import server, state
from unpaired.board.pages import Pages
from unpaired.board.runs import runs_in
from unpaired.board.server import Board
from unpaired.board.state import samples_of, state_of

HUGE = 10**400
LINES = {
    "a number no float holds": [f'{{"step": 50, "gan_G": {HUGE}}}'],
    "a step no float holds": [f'{{"step": {HUGE}, "gan_G": 1.0}}'],
    "values that can't be drawn": [
        f'{{"step": {50 + i}, "epoch": 1e308, "seconds": 1e308, "images_per_second": 1e308, '
        f'"validation_score": {"-" * (i % 2)}1e308, "kid_x2y": 1e308, "kid_x2y_error": 1e308}}'
        for i in range(3)
    ],
    "not finite": ['{"step": 50, "gan_G": NaN, "seconds": Infinity}'],
    "names that are formulas": [
        f'{{"step": {50 + i}, "$\\\\frac{{$": 2, "kid_$x^{{$": 1, "validation_score": 1}}'
        for i in range(3)
    ],
    "names that are no text": [f'{{"step": {50 + i}, "D_\\u0000\\ud800": 1}}' for i in range(3)],
    "names without end": [json.dumps({"step": 50 + i, "n" * 100_000: 1.0}) for i in range(3)],
    "too many names": [
        json.dumps({"step": 50 + i, **{f"n{k}": 1.0 for k in range(3000)}}) for i in range(3)
    ],
}


def page(folder: Path) -> str:
    return Pages(1).run("run", folder, "nonce", alone=True)


@pytest.mark.parametrize("lines", LINES.values(), ids=LINES)
def test_no_line_of_metrics_keeps_the_page_from_being_made(tmp_path: Path, lines: list) -> None:
    run = write_run(tmp_path / "run")
    note(run, "metrics.jsonl", *lines)
    assert "<svg" in (text := page(run))
    assert len(text) < 200_000
    assert state_of(run).step >= 40


def test_findings_that_are_none_are_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    fault = {"step": 10, "severity": "warning", "evidence": "e", "advice": "a", "direction": "x2y"}
    note(run, "metrics.jsonl", *({"step": 50 + i, "validation_score": 1} for i in range(3)))
    note(run, "findings.jsonl", {**fault, "name": "$\\frac{$\ud800"}, {**fault, "name": []})
    note(run, "findings.jsonl", {**fault, "name": "far", "step": HUGE})
    note(run, "findings.jsonl", {**fault, "name": "where", "direction": "<b>"})
    note(run, "findings.jsonl", *({**fault, "name": f"n{i}"} for i in range(1000)))
    found = state_of(run).findings
    assert [one["name"] for one in found[:2]] == ["$\\frac{$?", "n0"]
    assert len(found) == state.KINDS
    assert "<svg" in page(run)


def test_a_sample_grid_is_one_by_its_whole_name(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", grids=1)
    for name in ("step_².png", "step_٣.png", "step_.png", "step_-1.png"):
        (run / "samples" / name).write_bytes(b"")
    assert samples_of(run) == ["step_00000000.png"]
    assert "step_00000000.png" in page(run)


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    for name in ("config.yaml", "findings.jsonl"):
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)
    assert state_of(run).step == 40


@pytest.mark.parametrize("text", [f'{{"run": {{"seconds": {HUGE}}}}}', "[" * 100_000])
def test_the_state_of_a_checkpoint_may_be_anything(tmp_path: Path, text: str) -> None:
    from tests.translation.fakes import card
    from unpaired.training.card import card_text

    run = write_run(tmp_path / "run")
    checkpoint = run / "checkpoints" / "step_00000050"
    checkpoint.mkdir(parents=True)
    (checkpoint / "checkpoint.json").write_text(card_text(card(step=50), {}))
    (checkpoint / "state.json").write_text(text)
    assert state_of(run).step == 50
    assert state_of(run).seconds == 20


def test_of_a_log_without_end_the_last_bytes_are_read(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines=0)
    with (run / "metrics.jsonl").open("wb") as file:
        file.truncate(1 << 33)  # takes no room on the disk
        file.seek(0, 2)
        file.write(b'\n{"step": 7, "gan_G": 1.0}\n')
    assert state_of(run).step == 7


def test_names_of_runs_are_no_formulas_in_the_figure(tmp_path: Path) -> None:
    runs = {}
    for name in ("$\\frac{$", "_hidden", "\udcff", "a\nb\x01"):
        run = runs[name] = write_run(tmp_path / name)
        note(run, "metrics.jsonl", *({"step": 50 + i, "validation_score": 1} for i in range(3)))
    assert "<svg" in Pages(1).overview(runs, "nonce")


def test_ten_thousand_runs_are_named_in_a_moment(tmp_path: Path) -> None:
    for i in range(1000):
        run = tmp_path / f"{i % 2}" / f"r{i // 2}"
        run.mkdir(parents=True)
        (run / "config.yaml").write_text("")
    began = time.process_time()
    runs = runs_in([tmp_path] * 10)
    assert len(runs) == 1000
    assert runs["0/r3"] == (tmp_path / "0" / "r3").resolve()
    assert time.process_time() - began < 10


@contextmanager
def serving(runs: dict[str, Path]) -> Iterator[Board]:
    with board(runs) as there:
        threading.Thread(target=there.serve_forever, daemon=True).start()
        yield there
        there.shutdown()


def connected(there: Board) -> socket.socket:
    return socket.create_connection(there.server_address, timeout=20)


def answer(there: Board, head: bytes) -> bytes:
    with connected(there) as client:
        client.sendall(head + b"\r\n\r\n")
        return b"".join(iter(lambda: client.recv(1 << 16), b""))


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: [", b"403"),
        (b"GET / HTTP/1.1\r\nHost: localhost@elsewhere", b"403"),
        (b"GET http://[/ HTTP/1.1\r\nHost: localhost", b"404"),
        (b"GET /run/../../config.yaml HTTP/1.1\r\nHost: localhost", b"404"),
    ],
)
def test_addresses_and_hosts_that_are_none_are_refused(
    tmp_path: Path, head: bytes, status: bytes, capfd: pytest.CaptureFixture
) -> None:
    with serving({"run": write_run(tmp_path / "run")}) as there:
        assert answer(there, head).split()[1] == status
    assert capfd.readouterr().err == ""


def test_who_says_nothing_takes_no_more_than_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "AT_ONCE", 3)
    with serving({"run": write_run(tmp_path / "run")}) as there:
        silent = [connected(there) for _ in range(3)]
        with connected(there) as more:
            assert more.recv(1) == b""  # closed
        silent.pop().close()
        end = time.monotonic() + 10
        while not there.free.acquire(blocking=False):
            assert time.monotonic() < end
            time.sleep(0.01)
        there.free.release()
        assert answer(there, b"GET / HTTP/1.1\r\nHost: localhost").split()[1] == b"200"
        for client in silent:
            client.close()
