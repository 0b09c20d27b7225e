"""Folders become domains by rules that are written down."""

import os
import shutil
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.training.runs import write_dataset, write_pictures
from unpaired.data.check import check_dataset
from unpaired.data.datasets import open_dataset
from unpaired.data.decode import UnreadableImage
from unpaired.data.files import file_domain
from unpaired.data.layouts import held_out, list_images
from unpaired.errors import UserError


@pytest.mark.parametrize("names", ["ABAB", "XYXY"])
def test_the_layouts_of_the_field_are_found(names, tmp_path):
    write_dataset(tmp_path / "d")
    a, b = names[:2]
    for old, new in (("A", a), ("B", b)):
        for split in ("train", "test"):
            if old != new:
                (tmp_path / "d" / f"{split}{old}").rename(tmp_path / "d" / f"{split}{new}")
    data = open_dataset(str(tmp_path / "d"))
    assert [len(d) for d in (data.train_x, data.train_y, data.test_x, data.test_y)] == [7, 5, 2, 2]
    assert data.train_x.names[0] == "00.png"
    assert data.train_x.read(0).shape == (20, 20, 3)
    assert data.paired_test


def test_test_folders_may_be_missing_and_pairs_need_equal_names(tmp_path):
    write_dataset(tmp_path / "d")
    (tmp_path / "d" / "testA" / "00.png").rename(tmp_path / "d" / "testA" / "other.png")
    assert not open_dataset(str(tmp_path / "d")).paired_test
    shutil.rmtree(tmp_path / "d" / "testA")
    assert len(open_dataset(str(tmp_path / "d")).test_x) == 0


def test_two_folders_are_split_by_name_always_the_same_way(tmp_path):
    x, y = write_pictures(tmp_path / "x", 60, 0), write_pictures(tmp_path / "y", 30, 1)
    data = open_dataset(x=x, y=y)
    train, test = set(data.train_x.names), set(data.test_x.names)
    assert not train & test
    assert len(train | test) == 60
    assert 1 <= len(test) <= 14
    assert not data.paired_test  # though the names are equal
    more = write_pictures(tmp_path / "more", 90, 2)
    grown = open_dataset(x=more, y=y)
    assert {n for n in grown.test_x.names if int(n[:-4]) < 60} == test


def test_of_a_very_small_folder_nothing_is_held_out(tmp_path):
    files = [tmp_path / f"{i}.png" for i in range(19)]
    assert not any(held_out(f, tmp_path, 19) for f in files)
    assert not any(held_out(f, tmp_path, 5) for f in files)


def test_nested_folders_are_searched_and_hidden_files_and_loops_are_not(tmp_path):
    root = tmp_path / "r"
    write_pictures(root / "a" / "b", 2, 0)
    write_pictures(root / ".hidden", 1, 1)
    (root / "a" / ".secret.png").write_bytes(b"")
    (root / "notes.txt").write_text("x")
    (root / "a" / "loop").symlink_to(root)
    assert [p.relative_to(root).as_posix() for p in list_images(root)] == [
        "a/b/00.png",
        "a/b/01.png",
    ]


def test_names_keep_every_dot(tmp_path):
    for name in ("a.1.png", "a.2.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    data = open_dataset(x=tmp_path, y=write_pictures(tmp_path.parent / "yy", 2, 0))
    assert data.train_x.names == ("a.1.png", "a.2.png")


def test_one_unreadable_file_in_many_is_skipped_by_name(tmp_path):
    write_dataset(tmp_path / "d", train=40)
    bad = tmp_path / "d" / "trainA" / "03.png"
    bad.write_bytes(b"oops")
    data = open_dataset(str(tmp_path / "d"))
    assert len(data.train_x) == 39
    assert data.skipped == ((str(bad), "not a whole image"),)


def test_over_5_percent_unreadable_or_all_of_them_stops_before_the_start(tmp_path):
    write_dataset(tmp_path / "d", train=40)
    for i in range(3):
        (tmp_path / "d" / "trainA" / f"{i:02d}.png").write_bytes(b"oops")
    with pytest.raises(UserError, match=r"3 of 40 files in .*trainA.* can't be read"):
        open_dataset(str(tmp_path / "d"))
    for path in (tmp_path / "d" / "trainA").iterdir():
        path.write_bytes(b"oops")
    with pytest.raises(UserError, match="none of the 40 files"):
        open_dataset(str(tmp_path / "d"))


def test_mixed_grey_and_colour_become_colour_and_16_bits_win_over_8(tmp_path):
    x = tmp_path / "x"
    x.mkdir()
    for i in range(5):
        Image.new("L", (8, 8), 77).save(x / f"{i}.png")
    Image.new("RGB", (8, 8)).save(x / "9.png")
    y = tmp_path / "y"
    y.mkdir()
    Image.new("L", (8, 8), 255).save(y / "a.png")
    tifffile.imwrite(y / "b.tif", np.full((8, 8), 65535, np.uint16))
    data = open_dataset(x=x, y=y)
    assert (data.train_x.channels, data.train_x.dtype) == (3, "uint8")
    assert (data.train_y.channels, data.train_y.dtype) == (1, "uint16")
    assert [int(data.train_y.read(i).max()) for i in (0, 1)] == [65535, 65535]
    forced = open_dataset(x=x, y=y, channels_x=1)
    assert forced.train_x.read(0).shape == (8, 8, 1)


def test_a_file_of_another_kind_is_an_unreadable_file_not_a_crash(tmp_path):
    x = tmp_path / "x"
    x.mkdir()
    for i in range(10, 34):
        tifffile.imwrite(
            x / f"{i}.tif",
            np.zeros((8, 8, 5), np.uint8),
            photometric="minisblack",
            planarconfig="contig",
        )
    Image.new("RGB", (8, 8)).save(x / "z.png")
    y = write_pictures(tmp_path / "y", 2, 0)
    data = open_dataset(x=x, y=y)
    assert data.train_x.channels == 5
    assert data.skipped == ((str(x / "z.png"), "it has 3 channels, not 5"),)
    with pytest.raises(UnreadableImage, match="3 channels where 5"):
        file_domain([x / "z.png"], x, 5, "uint8").read(0)
    with pytest.raises(UserError, match="it has 5 channels, not 1"):
        open_dataset(x=x, y=y, channels_x=1)


def test_worldtiles_open_by_name_with_their_pairs_hidden_in_the_order():
    data = open_dataset("worldtiles:labels-aerial")
    assert data.paired_test
    assert data.test_x.names == data.test_y.names
    assert not set(data.train_x.names) & set(data.train_y.names)
    assert data.train_x.read(0).shape == (64, 64, 3)


def test_check_finds_doubles_leaks_and_small_sets(tmp_path):
    write_dataset(tmp_path / "d", train=7)
    folder = tmp_path / "d"
    shutil.copy(folder / "trainA" / "00.png", folder / "trainA" / "zz.png")
    shutil.copy(folder / "trainA" / "01.png", folder / "testA" / "leak.png")
    report = check_dataset(str(folder))
    assert report.splits["train_x"].doubles == 1
    assert any("1 pictures are in test_x and train_x" in w for w in report.warnings)
    assert any("only 8 pictures" in w for w in report.warnings)
    assert "train_x" in report.text()


def test_one_domain_inside_the_other_is_refused(tmp_path):
    outer = write_pictures(tmp_path / "all", 3, 0)
    inner = write_pictures(outer / "inner", 3, 1)
    for x, y in ((outer, inner), (inner, outer)):
        with pytest.raises(UserError, match="would share pictures"):
            open_dataset(x=x, y=y)


@pytest.mark.skipif(sys.platform != "linux", reason="names are UTF-8 there")
def test_a_name_that_is_no_utf8_is_a_name_like_any_other(tmp_path):
    x, y = (write_pictures(tmp_path / name, 25, i) for i, name in enumerate("xy"))
    (x / "00.png").rename(x / os.fsdecode(b"\xff.png"))
    (x / "01.png").rename(x / os.fsdecode(b"\xfe.png"))
    (x / os.fsdecode(b"\xfe.png")).write_bytes(b"")
    data = open_dataset(x=x, y=y)
    assert len(data.train_x) + len(data.test_x) >= 24
    for name, _ in data.skipped:
        name.encode()  # skipped.txt is UTF-8


def test_a_named_set_has_its_own_channels_and_no_others():
    assert open_dataset("worldtiles:map-aerial", channels_x=3).train_x.channels == 3
    with pytest.raises(UserError, match="--channels-y is 1, but worldtiles:map-aerial has 3"):
        open_dataset("worldtiles:map-aerial", channels_y=1)
