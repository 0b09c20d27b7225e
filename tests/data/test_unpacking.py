"""Archives from strangers: honest ones come out whole, hostile ones not at all."""

import contextlib
import gzip
import random
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from tests.data.archives import files_of, picture, plain, write_tar, write_zip
from unpaired.data import unpacking
from unpaired.data.unpacking import safe_parts, unpack
from unpaired.errors import UserError


def below(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def refused(archive: Path, place: Path, *words: str) -> None:
    """It is, in a line with these words, and nothing lies outside of the folder it was for."""
    inside = place / "deep" / "inside"
    inside.mkdir(parents=True)
    before = {p for p in place.rglob("*") if inside not in p.parents}
    with pytest.raises(UserError) as error:
        unpack(archive, inside)
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)
    assert {p for p in place.rglob("*") if inside not in p.parents} == before
    assert not [p for p in inside.rglob("*") if p.is_symlink()]


@pytest.mark.parametrize("kind", ["zip", "zip deflated", "tar", "tar.gz", "tar.gz pax"])
def test_pictures_and_notes_come_out_and_nothing_else_does(kind, tmp_path):
    files = files_of("set") | {"set/README.txt": b"notes", "set/trainA/\xe9.png": picture(99)}
    others = {
        "set/run.sh": b"#!",
        "set/.DS_Store": b"x",
        "__MACOSX/set/1.png": picture(),
        "set/weights.pth": b"x",
    }
    both = files | others
    archive = tmp_path / "archive"
    if kind.startswith("zip"):
        packed = zipfile.ZIP_DEFLATED if "deflated" in kind else zipfile.ZIP_STORED
        write_zip(archive, both, compression=packed)
    else:
        members = [plain(name, content) for name, content in both.items()]
        if "pax" in kind:
            for info, _ in members:
                info.pax_headers = {"comment": "long " * 100}
        write_tar(archive, members, "w:gz" if "gz" in kind else "w")
    told = []
    assert unpack(archive, tmp_path / "to", lambda done, _: told.append(done)) == len(files)
    assert below(tmp_path / "to") == files
    assert told[-1] == sum(map(len, files.values()))


LEADING_OUT = [
    "../out.png",
    "set/../../out.png",
    "/tmp/out.png",
    "//host/out.png",
    "..\\out.png",
    "C:\\out.png",
    "C:/out.png",
    "set/a\nb.png",
    "set/\x9b2J.png",
    "set/Nul.png",
    "com1/a.png",
    "set./a.png",
    "..",
    "/",
    "set/" + "a" * 300 + ".png",
    "b/" * 600 + "a.png",
]


@pytest.mark.parametrize("name", LEADING_OUT, ids=lambda n: ascii(n[:12]))
def test_a_name_that_leads_elsewhere_refuses_the_archive(name, tmp_path):
    write_zip(tmp_path / "a.zip", {"set/0.png": picture(), name: picture()})
    refused(tmp_path / "a.zip", tmp_path / "zip", "a name in it")
    if not name.endswith(("/", "..")):  # which tarfile can't store as files
        write_tar(tmp_path / "a.tar.gz", [plain("set/0.png", picture()), plain(name, picture())])
        refused(tmp_path / "a.tar.gz", tmp_path / "tar", "a name in it")


@pytest.mark.parametrize("name", ["a/b.png", "./a/b.png", "a//b.png", "a/./b.png"])
def test_plain_names_are_safe(name):
    assert safe_parts(name) == ("a", "b.png")


def test_a_zero_in_a_name_does_not_hide_its_end(tmp_path):
    write_zip(tmp_path / "a.zip", {"set/0.pngXYZ.png": picture()})
    content = (tmp_path / "a.zip").read_bytes().replace(b"0.pngXYZ.png", b"0.png\0YZ.png")
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path / "a.zip", tmp_path / "to", "a name in it")


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE],
    ids=["symbolic link", "hard link", "character device", "block device", "pipe"],
)
def test_links_devices_and_pipes_in_a_tar_refuse_it(kind, tmp_path):
    info = tarfile.TarInfo("set/trainA")
    info.type, info.linkname = kind, "/tmp"
    write_tar(tmp_path / "a.tar.gz", [(info, b""), plain("set/trainA/0.png", picture())])
    refused(tmp_path / "a.tar.gz", tmp_path / "to", "is a link or a device")


def test_a_link_in_a_zip_refuses_it(tmp_path):
    info = zipfile.ZipInfo("set/trainA.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    refused(tmp_path / "a.zip", tmp_path / "to", "is a link or a device")


def test_two_files_of_one_name_refuse_the_archive(tmp_path):
    write_zip(tmp_path / "a.zip", {"set/0.png": picture(0), "set/1.png": picture(1)})
    content = (tmp_path / "a.zip").read_bytes().replace(b"set/1.png", b"set/0.png")
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path / "a.zip", tmp_path / "zip", "two files in it are called")
    write_tar(tmp_path / "a.tar.gz", [plain("s/0.png", b"1"), plain("s/./0.png", b"2")])
    refused(tmp_path / "a.tar.gz", tmp_path / "tar", "two files in it are called")


def test_a_file_in_the_place_of_a_folder_refuses_the_archive(tmp_path):
    write_zip(tmp_path / "a.zip", {"set/a.png": picture(), "set/a.png/b.png": picture()})
    refused(tmp_path / "a.zip", tmp_path / "to", "in another file's place")


@pytest.mark.parametrize("packed", ["zip", "tar.gz"])
def test_a_bomb_is_refused_before_it_fills_the_disk(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "FLOOR", 1 << 20)
    zeros = bytes(3 << 20)
    archive = tmp_path / "a"
    if packed == "zip":
        write_zip(archive, {"a.png": zeros, "b.png": zeros}, compression=zipfile.ZIP_DEFLATED)
    else:
        write_tar(archive, [plain("a.png", zeros)])
    refused(archive, tmp_path / "to", "its size")
    assert sum(map(len, below(tmp_path / "to").values())) <= 1 << 20


def test_a_bomb_in_what_is_passed_over_is_refused_too(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "FLOOR", 1 << 20)
    write_tar(tmp_path / "a", [plain("a.bin", bytes(8 << 20)), plain("a.png", picture())])
    refused(tmp_path / "a", tmp_path / "to", "more in it than its size can explain")


def test_a_header_that_claims_to_be_huge_is_refused_unread(tmp_path):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 4 << 20
    content = info.tobuf(tarfile.USTAR_FORMAT) + bytes(4 << 20)
    (tmp_path / "a").write_bytes(gzip.compress(content))
    refused(tmp_path / "a", tmp_path / "to", "a header of")


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_FILES", 5)
    write_zip(tmp_path / "a.zip", files_of("set", 2))
    refused(tmp_path / "a.zip", tmp_path / "to", "over 5 files")


def test_too_many_files_in_a_tar_are_refused_before_one_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_FILES", 5)
    members = [plain(name, content) for name, content in files_of("set", 2).items()]
    write_tar(tmp_path / "a.tar.gz", members)
    (tmp_path / "to").mkdir()
    with pytest.raises(UserError, match="over 5 files"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "to")
    assert not list((tmp_path / "to").iterdir())


@pytest.mark.parametrize("packed", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("change", [-5, 5])
def test_a_zip_that_lies_about_a_size_is_refused(change, packed, tmp_path):
    content = picture() + b"x" * 500
    write_zip(tmp_path / "a.zip", {"a.png": content}, compression=packed)
    packed = (tmp_path / "a.zip").read_bytes()
    size, lie = struct.pack("<I", len(content)), struct.pack("<I", len(content) + change)
    assert packed.count(size) >= 2
    (tmp_path / "a.zip").write_bytes(packed.replace(size, lie))
    refused(tmp_path / "a.zip", tmp_path / "to", "a.zip")


def test_a_password_and_odd_packing_are_refused(tmp_path):
    write_zip(tmp_path / "a.zip", {"a.png": picture()}, compression=zipfile.ZIP_LZMA)
    refused(tmp_path / "a.zip", tmp_path / "lzma", "packed in an unusual way")
    write_zip(tmp_path / "b.zip", {"a.png": picture()})
    content = bytearray((tmp_path / "b.zip").read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1  # the flag in the directory at the end
    (tmp_path / "b.zip").write_bytes(content)
    refused(tmp_path / "b.zip", tmp_path / "locked", "needs a password")


def test_a_sparse_file_is_refused(tmp_path):
    info = tarfile.TarInfo("a.png")
    info.type = tarfile.GNUTYPE_SPARSE
    write_tar(tmp_path / "a", [(info, b"x" * 10)], "w")
    refused(tmp_path / "a", tmp_path / "to", "a")


@pytest.mark.parametrize("packed", ["zip", "tar", "tar.gz"])
def test_an_archive_cut_short_anywhere_is_damaged(packed, tmp_path):
    files = files_of("set", 3)
    whole = tmp_path / "whole"
    if packed == "zip":
        write_zip(whole, files)
    else:
        write_tar(whole, [plain(*f) for f in files.items()], "w:gz" if "gz" in packed else "w")
    content = whole.read_bytes()
    end = len(content) if packed != "tar" else len(content.rstrip(b"\0")) // 512 * 512
    cuts = [*random.Random(0).sample(range(end), 30), 0, 1, end - 1]
    for i, cut in enumerate(cuts):
        (tmp_path / "cut").write_bytes(content[:cut])
        with pytest.raises(UserError, match=r"damaged|smaller"):
            unpack(tmp_path / "cut", tmp_path / f"to-{i}")


@pytest.mark.parametrize("packed", ["zip", "tar", "tar.gz"])
def test_a_changed_byte_never_ends_in_anything_but_one_line(packed, tmp_path):
    files = files_of("set", 1)
    whole = tmp_path / "whole"
    if packed == "zip":
        write_zip(whole, files, compression=zipfile.ZIP_DEFLATED)
    else:
        write_tar(whole, [plain(*f) for f in files.items()], "w:gz" if "gz" in packed else "w")
    content, chance = whole.read_bytes(), random.Random(1)
    for i in range(60):
        changed = bytearray(content)
        for _ in range(chance.choice((1, 1, 4, 40))):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        (tmp_path / "changed").write_bytes(changed)
        with contextlib.suppress(UserError):
            unpack(tmp_path / "changed", tmp_path / "to" / str(i))
    assert {p.name for p in tmp_path.iterdir()} <= {"whole", "changed", "to"}


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK", b"\x1f\x8b", b"x" * 5000])
def test_what_is_no_archive_is_said_to_be_damaged(content, tmp_path):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        unpack(tmp_path / "a.zip", tmp_path / "to")


def test_a_full_disk_is_not_called_a_damaged_archive(tmp_path, monkeypatch):
    write_zip(tmp_path / "a.zip", files_of("set"))
    real = Path.open

    def full(path, mode="r", *rest, **options):
        if "x" in mode:
            raise OSError(28, "No space left on device", str(path))
        return real(path, mode, *rest, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(tmp_path / "a.zip", tmp_path / "to")


def test_a_truncated_gzip_behind_the_last_file_is_noticed(tmp_path):
    write_tar(tmp_path / "a", [plain("a.png", picture())])
    content = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(content[:-4] + struct.pack("<I", zlib.crc32(b"other")))
    with pytest.raises(UserError, match="damaged"):
        unpack(tmp_path / "a", tmp_path / "to")


def header(kind: bytes, size: int) -> bytes:
    """Of a tar member; a size below zero as GNU tar would write it."""
    info = tarfile.TarInfo("d")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ((header(b"L", 4) + b"abc".ljust(512, b"\0")) * 2000, "is damaged"),
        ((header(b"x", 12) + b"12 path=abc\n".ljust(512, b"\0")) * 2000, "is damaged"),
        (header(b"5", -512), "a size below zero"),
        (header(b"0", -1024), "a size below zero"),
        (header(b"x", 200_000) + b"0" * 200_192, "a header of 200,000 bytes"),
    ],
    ids=["long names", "extended", "a folder below zero", "a file below zero", "digits"],
)
def test_headers_that_tarfile_would_drown_in_refuse_the_archive(start, words, tmp_path):
    path = write_tar(tmp_path / "a.tar", [plain("trainA/1.png", picture())], "w")
    path.write_bytes(start + path.read_bytes())
    refused(path, tmp_path, words)


def test_a_list_of_members_that_is_too_long_is_refused_unread(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "a.zip", {f"trainA/{i}.png": b"" for i in range(100)})
    monkeypatch.setattr(unpacking, "MOST_FILES", 99)
    refused(path, tmp_path / "1", "over 99 files")
    monkeypatch.setattr(unpacking, "DIRECTORY", 1000)
    refused(path, tmp_path / "2", "a list of members")
