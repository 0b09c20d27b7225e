"""The short form of benchmarks/million.py: real processes, killed at real moments."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.translation.many.files import (
    check_folder,
    members_of,
    picture,
    png,
    write_folder,
    write_negative,
    write_shard,
)
from unpaired.cli import run as unpaired

IMAGES, KILLS, RANKS = 200, 3, 2


def start(arguments: list[str], rank: int) -> "subprocess.Popen[str]":
    environment = os.environ | {"RANK": str(rank), "WORLD_SIZE": str(RANKS)}
    command = [sys.executable, "-m", "unpaired", "translate", *arguments]
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def outputs(out: Path) -> dict[Path, int]:
    found = (p for p in out.rglob("*") if p.is_file())
    return {p: p.stat().st_ino for p in found if not any(q.startswith(".") for q in p.parts)}


def killed_and_restarted(arguments: list[str], out: Path, steps: list[int]) -> list[str]:
    """Kill both ranks when so many outputs are there, each time; the last session ends."""
    for step in steps:
        before = outputs(out)
        ranks = [start(arguments, rank) for rank in range(RANKS)]
        deadline = time.monotonic() + 300
        while len(outputs(out)) < step and time.monotonic() < deadline:
            time.sleep(0.02)
        for process in ranks:
            process.send_signal(signal.SIGKILL)
        for process in ranks:
            process.communicate()
        after = outputs(out)
        assert before.items() <= after.items(), "what was done has been done again"
        assert step <= len(after), "it never came so far"
    before = outputs(out)
    ranks = [start(arguments, rank) for rank in range(RANKS)]
    said = [process.communicate()[0] for process in ranks]
    assert [process.returncode for process in ranks] == [0] * RANKS, said
    assert before.items() <= outputs(out).items()
    return said


def test_killed_at_any_moment_and_restarted_every_output_is_there_once_and_the_summary_adds_up(
    tmp_path: Path,
) -> None:
    folder, out = write_folder(tmp_path / "in", IMAGES), tmp_path / "out"
    model = write_negative(tmp_path / "negative.onnx")
    summary = tmp_path / "summary.json"
    arguments = [str(model), str(folder), "--out", str(out), "--backend", "onnx"]
    rng = random.Random(0)
    steps = sorted(rng.randrange(1, IMAGES * 3 // 4) for _ in range(KILLS))
    killed_and_restarted([*arguments, "--json", str(summary)], out, steps)
    check_folder(out, IMAGES)
    counts = json.loads(summary.read_text())
    assert counts["sources"] == counts["translated"] + counts["skipped"] == IMAGES
    assert counts["skipped"] >= steps[-1]
    assert counts["failed"] == []


def test_shards_survive_kills_too(tmp_path: Path) -> None:
    shards, each = 12, 10
    for shard in range(shards):
        numbers = range(shard * each, (shard + 1) * each)
        members = {f"{n:04}.png": png(picture(n)) for n in numbers}
        write_shard(tmp_path / f"in/{shard:02}.tar", members)
    model = write_negative(tmp_path / "negative.onnx")
    out, summary = tmp_path / "out", tmp_path / "summary.json"
    sources = f"{tmp_path}/in/{{00..{shards - 1:02}}}.tar"
    arguments = [str(model), sources, "--out", str(out), "--backend", "onnx"]
    killed_and_restarted([*arguments, "--json", str(summary)], out, [4])
    made = [name for path in sorted(out.glob("*.tar")) for name in members_of(path.read_bytes())]
    assert made == [f"{n:04}.png" for n in range(shards * each)]
    assert json.loads(summary.read_text())["sources"] == shards * each


def test_the_last_rank_to_end_tells_the_whole(tmp_path, monkeypatch, capsys) -> None:
    folder = write_folder(tmp_path / "in", 20)
    (folder / "0/0003.png").write_bytes(b"")
    model = write_negative(tmp_path / "negative.onnx")
    summary = tmp_path / "summary.json"
    call = ["translate", str(model), str(folder), "--out", str(tmp_path / "out")]
    monkeypatch.setenv("WORLD_SIZE", "2")
    codes = []
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        codes.append(unpaired([*call, "--backend", "onnx", "--json", str(summary)]))
        if rank == "1":
            assert not summary.exists()
            assert "rank 0 not done yet" in capsys.readouterr().err
    said = capsys.readouterr().out
    assert "all 2 ranks: 19 translated, 0 skipped (already there), 1 failed, 20 in all" in said
    assert sorted(codes) == [0, 1]
    counts = json.loads(summary.read_text())
    assert counts["failed"][0]["path"].endswith("0003.png")
    assert counts["sources"] == 20


def test_wrong_use_is_one_line(tmp_path, monkeypatch, capsys) -> None:
    model = write_negative(tmp_path / "negative.onnx")
    call = ["translate", str(model), "memory://nothing", "--out", "memory://wrong-use"]
    cases: list[tuple[list[str], str]] = [
        ([], "no images in"),
        (["--overwrite"], "--overwrite would begin anew"),
        (["--smooth", "0.5"], "--smooth is for films"),
        (["--ray", "0"], "--ray is 0"),
        (["--batch", "0"], "--batch is 0"),
    ]
    for more, message in cases:
        assert unpaired([*call, "--backend", "onnx", *more]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
    monkeypatch.setenv("RANK", "5")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert unpaired(call) == 2
    assert "RANK is 5" in capsys.readouterr().err


def test_files_and_films_are_refused_by_ranks_in_the_right_words(
    tmp_path, monkeypatch, capsys
) -> None:
    model, film = write_negative(tmp_path / "negative.onnx"), tmp_path / "film.mp4"
    film.write_bytes(b"film")
    (tmp_path / "plain").write_bytes(b"")
    folder = write_folder(tmp_path / "in", 1)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    before = sorted(tmp_path.rglob("*"))
    for source, out, message in (
        (folder, "new.png", "is called like a picture, which is for one"),
        (folder, "plain", "is a file; give a folder"),
        (film, "out", "is a film; one process translates a film"),
        (film, "out.mp4", "is a film; one process translates a film"),
    ):
        call = ["translate", str(model), str(source), "--out", str(tmp_path / out)]
        assert unpaired([*call, "--backend", "onnx"]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    assert unpaired(["translate", str(model), str(folder), "--out", str(tmp_path / "a.jpg")]) == 2
    assert "is called like a picture" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before, "something was written"
