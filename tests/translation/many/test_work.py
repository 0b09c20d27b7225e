import contextlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import fsspec
import numpy as np
import pytest

from tests.translation.many.files import (
    check_folder,
    order,
    picture,
    pixels_of,
    png,
    write_folder,
    write_negative,
)
from unpaired.data.remote import TRIES
from unpaired.errors import UserError
from unpaired.translation.many import loose, record
from unpaired.translation.many.share import Share
from unpaired.translation.many.stores import FarStore, LocalStore, open_store
from unpaired.translation.many.work import translate_many


@pytest.fixture
def far() -> fsspec.AbstractFileSystem:
    files = fsspec.filesystem("memory")
    files.store.clear()
    return files


def test_ranks_do_their_shares_once_and_the_whole_adds_up(tmp_path: Path, run: Path) -> None:
    asked = order(run, write_folder(tmp_path / "in", 60), out=tmp_path / "out")
    for expected in (0, 60):
        outcomes = [translate_many(asked, Share(rank, 3)) for rank in range(3)]
        assert sum(o.skipped for o in outcomes) == expected
        assert sum(o.translated for o in outcomes) == 60 - expected
        whole, missing = record.total(open_store(asked.out), 3)
        assert (whole.total, missing) == (60, [])
        check_folder(tmp_path / "out", 60)


def test_another_number_of_ranks_goes_on_with_what_is_there(tmp_path: Path, run: Path) -> None:
    asked = order(run, write_folder(tmp_path / "in", 40), out=tmp_path / "out")
    first = translate_many(asked, Share(0, 3))
    outcomes = [translate_many(asked, Share(rank, 2)) for rank in range(2)]
    assert sum(o.skipped for o in outcomes) == first.translated
    assert record.total(open_store(asked.out), 2)[0].total == 40
    check_folder(tmp_path / "out", 40)


def test_a_rank_that_began_again_is_not_done_until_it_is(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = order(run, write_folder(tmp_path / "in", 20), out=tmp_path / "out")
    for rank in range(2):
        translate_many(asked, Share(rank, 2))

    def killed(*given: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("unpaired.translation.many.work.split_done", killed)
    with pytest.raises(KeyboardInterrupt):
        translate_many(asked, Share(1, 2))
    assert record.total(open_store(asked.out), 2)[1] == [1]


def test_what_fails_is_named_and_tried_again(tmp_path: Path, run: Path) -> None:
    folder = write_folder(tmp_path / "in", 10)
    (folder / "0/0004.png").write_bytes(b"broken")
    asked = order(run, folder, out=tmp_path / "out", batch=4)
    outcome = translate_many(asked)
    assert (outcome.translated, outcome.total) == (9, 10)
    ((name, reason),) = outcome.failed
    assert name == str(folder / "0/0004.png")
    assert "not a whole image" in reason
    kept, _ = record.total(open_store(asked.out), 1)
    assert kept.failed == outcome.failed
    (folder / "0/0004.png").write_bytes(png(picture(4)))
    again = translate_many(asked)
    assert (again.translated, again.skipped, again.failed) == (1, 9, [])
    check_folder(tmp_path / "out", 10)


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("direction", {"run": "back"}),
        ("checkpoint", {"run": "other"}),
        ("format", {"format": "tif"}),
        ("tiles", {"tiles": "off"}),
        ("precision", {"precision": "fp32"}),
        ("sources", {"sources": ("elsewhere",)}),
    ],
)
def test_other_settings_into_the_same_folder_are_refused(
    tmp_path: Path, run: Path, key: str, changes: dict[str, object]
) -> None:
    write_folder(tmp_path / "in", 2)
    translate_many(order(run, tmp_path / "in", out=tmp_path / "out"))
    runs = {"back": write_negative(tmp_path / "back.onnx", "y2x"), "other": tmp_path / "other.onnx"}
    runs["other"].write_bytes(run.read_bytes() + b"\x82\x01\x00")  # an empty unknown field
    if "run" in changes:
        run = runs[str(changes.pop("run"))]
    folder = tmp_path / "in"
    if changes.pop("sources", None):
        folder = write_folder(tmp_path / "elsewhere", 1)
    changed = order(run, folder, out=tmp_path / "out", **changes)
    expected = "checkpoint" if key == "direction" else key  # another file is another network
    with pytest.raises(UserError, match=f"begun with another {expected}") as error:
        translate_many(changed)
    assert "\n" not in str(error.value)
    check_folder(tmp_path / "out", 2)


def test_files_of_unknown_origin_are_not_taken_for_outputs(tmp_path: Path, run: Path) -> None:
    write_folder(tmp_path / "in", 2)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/0000.png").write_bytes(b"whose?")
    with pytest.raises(UserError, match="holds files already"):
        translate_many(order(run, tmp_path / "in", out=tmp_path / "out"))


def test_object_stores_are_listed_once_and_never_asked_file_by_file(
    run: Path, far: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        far.pipe_file(f"/in/deep/{number:04}.png", png(picture(number)))
    asked = order(run, "memory://in", out="memory://out", batch=4)
    translate_many(asked)
    for number in range(30):
        made = far.cat_file(f"/out/deep/{number:04}.png")
        np.testing.assert_array_equal(pixels_of(made), 255 - picture(number))
    far.rm_file("/out/deep/0007.png")
    calls: list[str] = []
    for name in ("find", "info", "exists", "isfile", "isdir", "ls", "cat_file", "pipe_file"):
        real = getattr(type(far), name)

        def counted(self, *given, name=name, real=real, **options):  # type: ignore[no-untyped-def]
            calls.append(name)
            return real(self, *given, **options)

        monkeypatch.setattr(type(far), name, counted)
    outcome = translate_many(asked)
    assert (outcome.translated, outcome.skipped) == (1, 29)
    assert calls.count("find") == 2
    assert calls.count("cat_file") == 2  # the header, one picture
    assert calls.count("pipe_file") == 2  # one picture, the outcome
    assert len(calls) < 30


def test_between_a_store_and_a_disk_both_ways(
    tmp_path: Path, run: Path, far: fsspec.AbstractFileSystem
) -> None:
    folder = write_folder(tmp_path / "in", 5)
    translate_many(order(run, f"file://{folder}", out="memory://there"))
    assert len(far.find("/there/0")) == 5
    translate_many(order(run, "memory://there", out=f"file://{tmp_path}/back"))
    for number in range(5):
        back = (tmp_path / f"back/0/{number:04}.png").read_bytes()
        np.testing.assert_array_equal(pixels_of(back), picture(number))


def test_a_store_that_is_away_ends_it_early_and_what_is_done_stays(
    run: Path, far: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(90):
        far.pipe_file(f"/in/{number:04}.png", png(picture(number)))
    real = FarStore.read

    def flaky(self: FarStore, name: str) -> bytes:
        if name >= "0020" and name.endswith(".png"):
            raise TimeoutError("timed out")
        return real(self, name)

    monkeypatch.setattr(FarStore, "read", flaky)
    monkeypatch.setattr(loose, "IN_A_ROW", 10)
    asked = order(run, "memory://in", out="memory://out")
    with pytest.raises(UserError, match=r"timed out, as 9 before it; mend that"):
        translate_many(asked)
    monkeypatch.setattr(FarStore, "read", real)
    outcome = translate_many(asked)
    assert outcome.skipped >= 1
    assert outcome.translated + outcome.skipped == 90


def build(store: FarStore) -> None:
    with store.building("b") as file:
        file.write(b"built")


@pytest.mark.parametrize("times", [TRIES - 1, TRIES])
@pytest.mark.parametrize(
    ("request_", "work"),
    [
        ("cat_file", lambda store: store.read("a")),
        ("_open", lambda store: store.open("a").read()),
        ("pipe_file", lambda store: store.write("b", b"x")),
        ("_open", build),
        ("find", lambda store: list(store.names())),
        ("rm_file", lambda store: store.remove("a")),
    ],
)
def test_a_request_that_fails_is_tried_again_so_often_and_that_is_said(
    times, request_, work, far: fsspec.AbstractFileSystem, monkeypatch, caplog
) -> None:
    store, slept, failed = FarStore("memory://flaky"), [], []
    store.write("a", b"kept")
    real = getattr(type(far), request_)

    def flaky(*given, **named):
        if len(failed) < times:
            failed.append(given)
            raise TimeoutError("away")
        return real(*given, **named)

    monkeypatch.setattr(type(far), request_, flaky)
    monkeypatch.setattr("unpaired.data.remote.time.sleep", slept.append)
    if times < TRIES:
        work(store)
    else:
        with pytest.raises((OSError, UserError), match="TimeoutError: away"):
            work(store)
    assert slept == [1, 2, 4]
    assert caplog.text.count("TimeoutError: away") == TRIES - 1
    assert f"try 3 of {TRIES}" in caplog.text


def test_nothing_half_written_appears(tmp_path: Path, far: fsspec.AbstractFileSystem) -> None:
    for store in (LocalStore(tmp_path / "out"), FarStore("memory://half")):
        with contextlib.suppress(KeyboardInterrupt), store.building("sub/a.tar") as file:
            file.write(b"half")
            raise KeyboardInterrupt
        with pytest.raises(FileNotFoundError):
            store.read("sub/a.tar")
        with store.building("sub/a.tar") as file:
            file.write(b"whole")
        assert store.read("sub/a.tar") == b"whole"
        assert [name for name, _ in store.names()] == ["sub/a.tar"]


def test_killed_while_a_picture_is_written_its_place_holds_what_it_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, whole = LocalStore(tmp_path / "out"), Path.write_bytes

    def half(path: Path, content: bytes) -> int:
        whole(path, content[: len(content) // 2])
        raise KeyboardInterrupt

    for before in (None, b"before"):
        monkeypatch.setattr(Path, "write_bytes", half)
        with pytest.raises(KeyboardInterrupt):
            store.write("sub/a.png", b"half of it")
        monkeypatch.setattr(Path, "write_bytes", whole)
        found = [store.read(name) for name, _ in store.names()]
        assert found == ([] if before is None else [before])
        store.write("sub/a.png", b"before")


def test_a_damaged_header_is_one_line(tmp_path: Path, run: Path) -> None:
    write_folder(tmp_path / "in", 1)
    asked = order(run, tmp_path / "in", out=tmp_path / "out")
    translate_many(asked)
    (tmp_path / "out" / record.HEADER).write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        translate_many(asked)


def test_a_large_picture_from_a_store_is_translated_in_memory_and_a_huge_one_refused_nothing(
    run: Path, far: fsspec.AbstractFileSystem
) -> None:
    far.pipe_file("/in/a.png", png(picture(1, 40, 60)))
    far.pipe_file("/in/b.png", png(picture(2, 41, 60)))
    outcome = translate_many(order(run, "memory://in", out="memory://out", tiles="off", batch=2))
    assert outcome.translated == 2
    np.testing.assert_array_equal(pixels_of(far.cat_file("/out/b.png")), 255 - picture(2, 41, 60))


def test_names_that_are_no_utf8_get_through(tmp_path: Path, run: Path) -> None:
    name = os.fsencode(tmp_path / "in") + b"/\xff.png"
    (tmp_path / "in").mkdir()
    Path(os.fsdecode(name)).write_bytes(png(picture(0)))
    (tmp_path / "in/bad.png").write_bytes(b"")
    asked = order(run, tmp_path / "in", out=tmp_path / "out")
    outcome = translate_many(asked)
    assert (outcome.translated, len(outcome.failed)) == (1, 1)
    header = json.loads((tmp_path / "out" / record.HEADER).read_bytes())
    assert header["sources"] == [str(tmp_path / "in")]


def test_ranks_that_begin_at_once_agree_and_one_of_two_orders_wins(tmp_path: Path) -> None:
    def header(direction: str) -> record.Header:
        return record.Header("c", direction, None, "auto", "auto", "auto", ["in"])

    for number in range(20):
        out, start = LocalStore(tmp_path / str(number)), Barrier(8)

        def begin(way: str, out: LocalStore = out, start: Barrier = start) -> str:
            start.wait()
            try:
                record.begin(out, header(way))
            except UserError as error:
                return str(error)
            return way

        ways = ["x2y"] * 8 if number < 10 else ["x2y", "y2x"] * 4
        with ThreadPoolExecutor(8) as pool:
            said = list(pool.map(begin, ways))
        won = {way for way in said if way in ("x2y", "y2x")}
        assert len(won) == 1, said
        refused = [line for line in said if line not in won]
        assert len(refused) == (0 if number < 10 else 4), said
        assert all("begun with another direction" in line for line in refused), said
        assert [p.name for p in (out.folder / ".unpaired").iterdir()] == ["run.json"]
