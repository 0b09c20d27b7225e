import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.translation.many.files import picture, png
from unpaired.errors import UserError
from unpaired.translation.folder import plan
from unpaired.translation.many.share import Share, share_of
from unpaired.translation.many.sources import expanded, is_many, open_sources
from unpaired.translation.many.stores import open_store

AWKWARD = [
    "a.jpg", "a.png", "a.jpg.png", "B.png", "b.bmp", "c.png", "a.png.jpg", "a.PNG.png",
    "frame.0001.png", "frame.0002.png", "deep/a.jpg", "deep/er/a.png", "b.png.bmp", "dots..png",
]  # fmt: skip


def folder_of(root: Path, names: list[str]) -> Path:
    content = png(picture(0))
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_shares_together_are_the_sources_and_outputs_have_the_places_of_a_single_process(
    tmp_path: Path, ranks: int
) -> None:
    names = AWKWARD + [f"many/{n:03}.png" for n in range(300)]
    folder, out = folder_of(tmp_path / "in", names), tmp_path / "out"
    store = open_store(str(out))
    sources = open_sources([str(folder)], store)
    shares = [sources.pieces(Share(rank, ranks), store) for rank in range(ranks)]
    found = {piece.name: piece.target for share in shares for piece in share}
    assert sum(map(len, shares)) == len(names)
    assert len({target.casefold() for target in found.values()}) == len(names)
    alone = {
        job.source.relative_to(folder).as_posix(): job.target.relative_to(out).as_posix()
        for job in plan([folder], out)
    }
    assert found == alone
    assert min(map(len, shares)) > len(names) / ranks / 2


def test_what_is_hidden_and_the_output_folder_within_are_no_sources(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", ["a.png", ".hid.png", ".unpaired/b.png", "out/c.png"])
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "notes.txt").write_text("no picture")
    out = open_store(str(folder / "out"))
    pieces = open_sources([str(folder)], out).pieces(Share(), out)
    assert [piece.name for piece in pieces] == ["a.png"]


def test_several_folders_keep_their_names_and_single_pictures_theirs(tmp_path: Path) -> None:
    one, two = folder_of(tmp_path / "one", ["a.png"]), folder_of(tmp_path / "two", ["a.png"])
    single = folder_of(tmp_path, ["a.png"]) / "a.png"
    out = open_store(str(tmp_path / "out"))
    pieces = open_sources([str(one), str(two), str(single)], out).pieces(Share(), out)
    assert [piece.target for piece in pieces] == ["a", "one/a", "two/a"]


def test_a_folder_may_be_called_like_a_file(tmp_path: Path) -> None:
    out = open_store(str(tmp_path / "out"))
    for name in ("odd.tar", "odd.png"):
        folder = folder_of(tmp_path / name, ["a.png"])
        sources = open_sources([str(folder)], out)
        assert [piece.name for piece in sources.pieces(Share(), out)] == ["a.png"]


def test_shards_are_dealt_out_in_turn() -> None:
    out = open_store("memory://out")
    sources = open_sources(["memory://in/s-{00..10}.tar"], out)
    shares = [[p.name for p in sources.pieces(Share(r, 4), out)] for r in range(4)]
    assert [len(s) for s in shares] == [3, 3, 3, 2]
    assert shares[1] == ["s-01.tar", "s-05.tar", "s-09.tar"]


def test_ranges_are_written_out() -> None:
    assert expanded("a-{08..11}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]
    assert expanded("{0..1}/{9..10}") == ["0/9", "0/10", "1/9", "1/10"]
    assert expanded("{a,b}.tar") == ["a.tar", "b.tar"]
    assert expanded("a.tar") == ["a.tar"]
    assert expanded("s3://bucket/{a}.png") == ["s3://bucket/{a}.png"]


def test_a_file_of_the_very_name_is_meant_by_it(tmp_path: Path) -> None:
    odd = tmp_path / "a{1..3}.png"
    odd.touch()
    assert expanded(str(odd)) == [str(odd)]


def test_ranks_are_those_of_torchrun() -> None:
    assert share_of({}) is None
    assert share_of({"RANK": "3", "WORLD_SIZE": "8"}) == Share(3, 8)
    for wrong in (
        {"RANK": "3"},
        {"RANK": "x", "WORLD_SIZE": "2"},
        {"RANK": "2", "WORLD_SIZE": "2"},
    ):
        with pytest.raises(UserError, match="RANK"):
            share_of(wrong)


def test_plain_files_of_one_process_are_not_many(tmp_path: Path) -> None:
    (tmp_path / "odd.tar").mkdir()
    assert not is_many(["a.png", "folder"], "out", {})
    assert not is_many([str(tmp_path / "odd.tar")], "out", {})
    assert is_many(["s3://bucket/a"], "out", {})
    assert is_many(["folder"], "gs://bucket/b", {})
    assert is_many(["x-{0..3}.tar"], "out", {})
    assert is_many(["folder"], "out", {"RANK": "0", "WORLD_SIZE": "1"})


@pytest.mark.parametrize(
    ("sources", "out", "message"),
    [
        (["memory://a/x.tar", "memory://a/b"], "memory://out", "shards and other pictures"),
        (["memory://a/x.tar", "memory://b/x.tar"], "memory://out", 'two shards are called "x.tar"'),
        (["memory://a/x.tar"], "memory://a", "the shards lie in --out"),
        (["memory://a/b"], "memory://a", "is or lies in --out"),
        (["memory://a"], "memory://a", "is or lies in --out"),
        (["memory://a/b.png"], "memory://a", "lies in --out"),
        (["memory://a/{3..1}.tar"], "memory://out", "range from 3 down to 1"),
        (["memory://a/{0..999999999}.tar"], "memory://out", "over 1,000,000 names"),
        (["memory://a/*.tar"], "memory://out", "by their names, or as a range"),
        (["nosuch://a"], "memory://out", "nosuch"),
    ],
)
def test_wrong_use_is_one_line(sources: list[str], out: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        open_sources(sources, open_store(out))
    assert "\n" not in str(error.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec.core

    def missing(url: str, **options: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(UserError, match=r"pip install s3fs") as error:
        open_store("s3://key:secret@bucket/a")
    assert "secret" not in str(error.value)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(UserError, match=r"pip install 'unpaired\[shards\]'"):
        open_store("memory://a")


def test_shares_don_t_need_each_other() -> None:
    """What falls to a rank depends on the name alone, so that shares don't move."""
    names = [f"frame.{n:05}.png" for n in range(4000)]
    owners = Counter(rank for n in names for rank in range(8) if Share(rank, 8).has(n))
    assert sum(owners.values()) == 4000
    assert min(owners.values()) > 400
    assert [r for r in range(8) if Share(r, 8).has("a.jpg")] == [
        r for r in range(8) if Share(r, 8).has("A.jpg.PNG")
    ]
