import io
import json
import os
import tarfile
from pathlib import Path

import fsspec
import numpy as np
import pytest

from tests.translation.many.files import (
    members_of,
    order,
    picture,
    pixels_of,
    png,
    tar_of,
    write_shard,
)
from unpaired.errors import UserError
from unpaired.translation.many import record
from unpaired.translation.many.shards import _ShardRun
from unpaired.translation.many.share import Share
from unpaired.translation.many.stores import FarStore, open_store
from unpaired.translation.many.work import translate_many


def samples(first: int, count: int) -> dict[str, bytes]:
    """As WebDataset has them: a picture, its class, its description."""
    members = {}
    for number in range(first, first + count):
        sides = (8, 8) if number % 3 else (9, 12)
        members[f"./{number:04}.jpg"] = png(picture(number, *sides))  # by content, whatever it says
        members[f"./{number:04}.cls"] = str(number % 10).encode()
        members[f"./{number:04}.json"] = json.dumps({"number": number}).encode()
    return members


def write_shards(folder: Path, shards: int, each: int = 7) -> str:
    for number in range(shards):
        write_shard(folder / f"s-{number:03}.tar", samples(number * each, each))
    return f"{folder}/s-{{000..{shards - 1:03}}}.tar"


@pytest.mark.parametrize("batch", [1, 4])
def test_samples_keep_their_order_names_and_labels(tmp_path: Path, run: Path, batch: int) -> None:
    sources = write_shards(tmp_path / "in", 2)
    outcome = translate_many(order(run, sources, out=tmp_path / "out", batch=batch))
    assert (outcome.translated, outcome.total) == (14, 14)
    assert sorted(p.name for p in (tmp_path / "out").glob("*")) == [
        ".unpaired", "s-000.tar", "s-001.tar",
    ]  # fmt: skip
    for shard in range(2):
        before = samples(shard * 7, 7)
        made = members_of((tmp_path / f"out/s-{shard:03}.tar").read_bytes())
        assert list(made) == [name.replace(".jpg", ".png") for name in before]
        for name, content in before.items():
            if name.endswith(".jpg"):
                found = pixels_of(made[name.replace(".jpg", ".png")])
                np.testing.assert_array_equal(found, 255 - pixels_of(content))
            else:
                assert made[name] == content


def test_a_shard_that_is_done_is_left_alone_and_its_counts_still_add_up(
    tmp_path: Path, run: Path
) -> None:
    write_shards(tmp_path / "in", 3)
    members = samples(14, 7)
    members["./0015.jpg"] = b"broken"
    write_shard(tmp_path / "in/s-002.tar", members)
    asked = order(run, f"{tmp_path}/in/s-{{000..002}}.tar", out=tmp_path / "out")
    first = translate_many(asked)
    assert (first.translated, len(first.failed)) == (20, 1)
    assert "0015.jpg" in first.failed[0][0]
    made = members_of((tmp_path / "out/s-002.tar").read_bytes())
    assert "./0015.png" not in made
    assert made["./0015.cls"] == b"5"
    before = {p: p.stat().st_ino for p in (tmp_path / "out").glob("*.tar")}
    (tmp_path / "out/s-001.tar").unlink()
    again = translate_many(asked)
    assert (again.translated, again.skipped, again.failed) == (7, 13, first.failed)
    kept = [tmp_path / "out/s-000.tar", tmp_path / "out/s-002.tar"]
    assert all(p.stat().st_ino == before[p] for p in kept)


@pytest.mark.parametrize("end", ["in a picture", "between files", "without its end"])
def test_a_shard_that_is_not_whole_fails_alone_and_leaves_nothing(
    tmp_path: Path, run: Path, end: str
) -> None:
    sources = write_shards(tmp_path / "in", 2)
    shard = tmp_path / "in/s-001.tar"
    content = shard.read_bytes()
    with tarfile.open(shard) as tar:
        places = [m.offset for m in tar]
    cut = {
        "in a picture": places[9] + 600,
        "between files": places[9],
        "without its end": len(content.rstrip(b"\0")) // 512 * 512 + 512,
    }[end]
    shard.write_bytes(content[:cut])
    asked = order(run, sources, out=tmp_path / "out")
    outcome = translate_many(asked)
    assert outcome.translated == 7
    ((name, reason),) = outcome.failed
    assert name.endswith("in/s-001.tar")
    assert "not a whole tar after" in reason
    assert [p.name for p in (tmp_path / "out").iterdir() if p.suffix == ".tar"] == ["s-000.tar"]
    shard.write_bytes(content)
    again = translate_many(asked)
    assert (again.translated, again.skipped, again.failed) == (7, 7, [])


@pytest.mark.parametrize("content", [None, b"{", b"{}", b"[]", b'{"failed": 3}'])
def test_a_shard_whose_record_is_lost_or_damaged_is_done_again(
    tmp_path: Path, run: Path, content: bytes | None
) -> None:
    asked = order(run, write_shards(tmp_path / "in", 2), out=tmp_path / "out")
    translate_many(asked)
    kept = tmp_path / "out/.unpaired/shards/s-001.tar.json"
    kept.unlink() if content is None else kept.write_bytes(content)
    again = translate_many(asked)
    assert (again.translated, again.skipped, again.failed) == (7, 7, [])


def test_a_rank_whose_record_is_damaged_is_not_done(tmp_path: Path, run: Path) -> None:
    asked = order(run, write_shards(tmp_path / "in", 2), out=tmp_path / "out")
    for rank in range(2):
        translate_many(asked, Share(rank, 2))
    (tmp_path / "out/.unpaired/rank-1-of-2.json").write_bytes(b"{")
    whole, missing = record.total(open_store(str(tmp_path / "out")), 2)
    assert (whole.translated, missing) == (7, [1])


@pytest.mark.parametrize("damage", ["a flipped bit", "a block of zeros"])
def test_a_damaged_header_is_no_end(tmp_path: Path, run: Path, damage: str) -> None:
    shard = tmp_path / "in/s-000.tar"
    sources = write_shards(tmp_path / "in", 1)
    with tarfile.open(shard) as tar:
        at = [m.offset for m in tar][9]
    content = bytearray(shard.read_bytes())
    content[at : at + 512] = (
        bytes(512) if damage == "a block of zeros" else b"?" + content[at + 1 : at + 512]
    )
    shard.write_bytes(content)
    outcome = translate_many(order(run, sources, out=tmp_path / "out"))
    assert outcome.translated == 0
    assert "not a whole tar after 9 files" in outcome.failed[0][1]
    assert not list((tmp_path / "out").glob("*.tar"))


def test_a_shard_that_is_a_pipe_keeps_nobody_waiting(tmp_path: Path, run: Path) -> None:
    os.mkfifo(tmp_path / "s.tar")
    outcome = translate_many(order(run, tmp_path / "s.tar", out=tmp_path / "out"))
    assert outcome.failed[0][1] == "not a regular file"


def test_a_member_too_large_to_be_held_fails_its_shard(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unpaired.translation.many.shards.MAX_BYTES", 1000)
    write_shard(tmp_path / "s.tar", {"a.png": png(picture(0)), "film.mp4": bytes(1001)})
    outcome = translate_many(order(run, tmp_path / "s.tar", out=tmp_path / "out"))
    assert '"film.mp4" in it has over 1,000 bytes' in outcome.failed[0][1]
    assert not list((tmp_path / "out").glob("*.tar"))


def test_a_missing_shard_is_a_failure(tmp_path: Path, run: Path) -> None:
    write_shards(tmp_path / "in", 1)
    asked = order(run, f"{tmp_path}/in/s-{{000..001}}.tar", out=tmp_path / "out")
    outcome = translate_many(asked)
    assert outcome.translated == 7
    assert "no such file" in outcome.failed[0][1]


def test_a_store_that_breaks_off_while_a_shard_is_read_fails_that_shard_alone(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients of object stores raise errors of their own, which are no OSError."""

    class BrokenOff(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 4000:
                raise RuntimeError("Response payload is not completed")
            return super().read(size)

    far = fsspec.filesystem("memory")
    far.store.clear()
    for number in range(2):
        far.pipe_file(f"/in/s-{number}.tar", tar_of(samples(number * 7, 7)))
    opened = FarStore.open
    monkeypatch.setattr(
        FarStore,
        "open",
        lambda store, name: (
            BrokenOff(store.read(name)) if name == "s-0.tar" else opened(store, name)
        ),
    )
    outcome = translate_many(order(run, "memory://in/s-{0..1}.tar", out=tmp_path / "out"))
    assert outcome.translated == 7
    ((name, reason),) = outcome.failed
    assert name == "memory://in/s-0.tar"
    assert "response payload is not completed" in reason.lower()
    assert [p.name for p in (tmp_path / "out").glob("*.tar")] == ["s-1.tar"]


def test_killed_within_a_shard_nothing_of_it_is_there_and_it_is_done_again(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = order(run, write_shards(tmp_path / "in", 2), out=tmp_path / "out")
    real = _ShardRun.written

    def dying(self: _ShardRun, job, made=None):  # type: ignore[no-untyped-def]
        if job.name == "./0010":
            raise KeyboardInterrupt
        real(self, job, made)

    monkeypatch.setattr(_ShardRun, "written", dying)
    with pytest.raises(KeyboardInterrupt):
        translate_many(asked)
    assert [p.name for p in (tmp_path / "out").iterdir() if p.suffix == ".tar"] == ["s-000.tar"]
    monkeypatch.setattr(_ShardRun, "written", real)
    outcome = translate_many(asked)
    assert (outcome.translated, outcome.skipped) == (7, 7)


def test_from_store_to_store_by_several_ranks(run: Path) -> None:
    far = fsspec.filesystem("memory")
    far.store.clear()
    for number in range(5):
        far.pipe_file(f"/in/s-{number}.tar", tar_of(samples(number * 4, 4)))
    asked = order(run, "memory://in/s-{0..4}.tar", out="memory://out")
    outcomes = [translate_many(asked, Share(rank, 2)) for rank in range(2)]
    assert [o.translated for o in outcomes] == [12, 8]
    whole, missing = record.total(open_store("memory://out"), 2)
    assert (whole.translated, missing) == (20, [])
    assert len(members_of(far.cat_file("/out/s-4.tar"))) == 12


def test_two_pictures_of_a_shard_never_get_one_name(tmp_path: Path, run: Path) -> None:
    names = ["a.jpg", "a.png", "a.png.jpg", "A.webp", "b.seg.png"]
    write_shard(tmp_path / "s.tar", {n: png(picture(i)) for i, n in enumerate(names)})
    translate_many(order(run, tmp_path / "s.tar", out=tmp_path / "out"))
    made = members_of((tmp_path / "out/s.tar").read_bytes())
    assert list(made) == ["a.png", "a.png.png", "a.png.jpg.png", "A.webp.png", "b.seg.png"]
    for number, content in enumerate(made.values()):
        np.testing.assert_array_equal(pixels_of(content), 255 - picture(number))


def test_links_and_sparse_files_of_hostile_shards_are_left_out(tmp_path: Path, run: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        link = tarfile.TarInfo("passwd.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        content = png(picture(3))
        good = tarfile.TarInfo("a.png")
        good.size = len(content)
        tar.addfile(good, io.BytesIO(content))
    (tmp_path / "s.tar").write_bytes(buffer.getvalue())
    outcome = translate_many(order(run, tmp_path / "s.tar", out=tmp_path / "out"))
    assert outcome.total == 1
    assert list(members_of((tmp_path / "out/s.tar").read_bytes())) == ["a.png"]


def test_a_full_disk_ends_it_in_one_line(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, member: object, file: object = None) -> None:
        raise OSError(28, "No space left on device")

    asked = order(run, write_shards(tmp_path / "in", 1), out=tmp_path / "out")
    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(UserError, match="no space left") as error:
        translate_many(asked)
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "out").glob("*.tar"))
