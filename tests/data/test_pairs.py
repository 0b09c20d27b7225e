"""Pairs stay pairs: found by name or side by side, skipped as a whole, cropped alike."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.training.runs import tiny_config, write_dataset, write_pictures
from unpaired.data.batches import Batches
from unpaired.data.check import check_dataset
from unpaired.data.datasets import open_dataset
from unpaired.data.decode import UnreadableImage
from unpaired.data.domains import DataSet, Domain
from unpaired.data.images import ImageConfig
from unpaired.errors import UserError


def write_pairs(folder: Path, train: int = 7, test: int = 2) -> Path:
    """trainA, trainB, testA, testB: picture i is grey 10 i in A, and 10 i + 1 in B."""
    for split, count in (("train", train), ("test", test)):
        for side, more in (("A", 0), ("B", 1)):
            (folder / f"{split}{side}").mkdir(parents=True)
            for i in range(count):
                grey = np.full((20, 20, 3), (10 * i + more) % 256, np.uint8)
                Image.fromarray(grey).save(folder / f"{split}{side}" / f"{i:02d}.png")
    return folder


def write_side_by_side(folder: Path, count: int, width: int = 40, height: int = 20) -> Path:
    """`count` pictures whose left half is grey 10 i and whose right half is 10 i + 1."""
    folder.mkdir(parents=True)
    for i in range(count):
        both = np.full((height, width, 3), 10 * i, np.uint8)
        both[:, width // 2 :] += 1
        Image.fromarray(both).save(folder / f"{i:02d}.png")
    return folder


def aligned(data: DataSet) -> bool:
    """Whether every pair of `write_pairs` and `write_side_by_side` is still one."""
    pairs = [(data.train_x, data.train_y), (data.test_x, data.test_y)]
    return all(
        len(x) == len(y)
        and all(int(y.read(i)[0, 0, 0]) == int(x.read(i)[0, 0, 0]) + 1 for i in range(len(x)))
        for x, y in pairs
    )


@pytest.mark.parametrize("letters", ["AB", "XY"])
def test_folders_of_equal_names_are_pairs_whatever_the_suffix(letters, tmp_path):
    folder = write_pairs(tmp_path / "d")
    for file in list((folder / "trainB").iterdir()):
        Image.open(file).save(file.with_suffix(".bmp"))
        file.unlink()
    for old, new in zip("AB", letters):
        for split in ("train", "test"):
            (folder / f"{split}{old}").rename(folder / f"{split}{new}")
    data = open_dataset(str(folder), paired=True)
    assert (len(data.train_x), len(data.test_x)) == (7, 2)
    assert data.train_y.names[0] == "00.bmp"
    assert data.paired_test
    assert aligned(data)


def test_names_are_compared_below_the_folder_and_keep_every_dot(tmp_path):
    x, y = tmp_path / "x", tmp_path / "y"
    for name in ("a/1.png", "b/1.png", "a.1.png", "a.2.png"):
        for root in (x, y):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8)).save(root / name)
    data = open_dataset(x=x, y=y, paired=True)
    assert data.train_x.names == data.train_y.names == ("a.1.png", "a.2.png", "a/1.png", "b/1.png")


def test_two_folders_of_pairs_are_split_together(tmp_path):
    write_pairs(tmp_path / "d", train=60)
    x, y = tmp_path / "d" / "trainA", tmp_path / "d" / "trainB"
    for file in list(y.iterdir()):  # another suffix, another hash
        file.rename(file.with_suffix(".PNG"))
    data = open_dataset(x=x, y=y, paired=True)
    assert data.paired_test
    assert aligned(data)
    assert {*data.test_x.names} == {*open_dataset(x=x, y=y).test_x.names}
    assert not open_dataset(x=x, y=y).paired_test


def test_a_name_without_partner_is_skipped_with_a_reason(tmp_path):
    folder = write_pairs(tmp_path / "d", train=30)
    (folder / "trainB" / "04.png").unlink()
    data = open_dataset(str(folder), paired=True)
    assert len(data.train_x) == len(data.train_y) == 29
    assert aligned(data)
    reason = f'no partner of this name in "{folder / "trainB"}"'
    assert data.skipped == ((str(folder / "trainA" / "04.png"), reason),)
    assert open_dataset(str(folder)).skipped == ()


def test_two_files_of_one_name_are_no_partners(tmp_path):
    folder = write_pairs(tmp_path / "d", train=60)
    Image.new("RGB", (8, 8)).save(folder / "trainB" / "04.bmp")
    data = open_dataset(str(folder), paired=True)
    assert len(data.train_x) == len(data.train_y) == 59
    reasons = {Path(name).relative_to(folder).as_posix(): why for name, why in data.skipped}
    assert set(reasons) == {"trainA/04.png", "trainB/04.png", "trainB/04.bmp"}
    assert reasons["trainB/04.bmp"] == "another file has this name, but for the suffix"


@pytest.mark.parametrize("side", ["trainA", "trainB", "testA"])
def test_many_names_without_partner_stop_before_the_start(side, tmp_path):
    folder = write_pairs(tmp_path / "d", train=20, test=20)
    for i in range(3):
        (folder / side / f"{i:02d}.png").unlink()
    with pytest.raises(UserError, match=r"3 of 20 files in .* have no partner \(00\.png") as caught:
        open_dataset(str(folder), paired=True)
    assert "\n" not in str(caught.value)


def test_a_test_split_that_one_side_lacks_is_empty(tmp_path):
    folder = write_pairs(tmp_path / "d")
    for file in (folder / "testB").iterdir():
        file.unlink()
    data = open_dataset(str(folder), paired=True)
    assert len(data.test_x) == len(data.test_y) == 0
    assert not data.paired_test


def test_without_pairs_it_says_what_pairs_look_like(tmp_path):
    x = write_pictures(tmp_path / "x", 3, 0)
    y = write_pictures(tmp_path / "y", 3, 0)
    for file in list(y.iterdir()):
        file.rename(file.with_name(f"photo {file.name}"))
    wanted = r"pairs are files of equal names in both .* or pictures side by side"
    with pytest.raises(UserError, match=f"no pairs in .*; {wanted}"):
        open_dataset(x=x, y=y, paired=True)
    with pytest.raises(UserError, match=f"has no trainA and trainB .*; {wanted}"):
        open_dataset(str(tmp_path), paired=True)


def test_an_unreadable_file_takes_its_partner_with_it(tmp_path):
    folder = write_pairs(tmp_path / "d", train=25)
    (folder / "trainB" / "03.png").write_bytes(b"oops")
    data = open_dataset(str(folder), paired=True)
    assert len(data.train_x) == len(data.train_y) == 24
    assert aligned(data)
    ((name, reason),) = data.skipped
    assert name.endswith("03.png")
    assert reason == "not a whole image; its partner is left out too"


# -- side by side --------------------------------------------------------------------------------


def test_side_by_side_pictures_are_pairs_of_left_and_right(tmp_path):
    write_side_by_side(tmp_path / "train", 7)
    write_side_by_side(tmp_path / "test", 3)
    write_side_by_side(tmp_path / "val", 2)
    for paired in (True, False):
        data = open_dataset(str(tmp_path), paired=paired)
        assert (len(data.train_x), len(data.test_x)) == (7, 3)
        assert data.train_x.read(2).shape == (20, 20, 3)
        assert data.paired_test
        assert aligned(data)
    assert "left and right halves" in data.name


def test_val_is_the_test_split_of_sets_that_have_no_test(tmp_path):
    write_side_by_side(tmp_path / "train", 3)
    assert len(open_dataset(str(tmp_path), paired=True).test_x) == 0
    write_side_by_side(tmp_path / "val", 2)
    assert len(open_dataset(str(tmp_path), paired=True).test_x) == 2


def test_unpaired_methods_see_the_halves_each_in_its_own_order(tmp_path):
    write_side_by_side(tmp_path / "train", 12)
    data = open_dataset(str(tmp_path))
    batches = Batches(
        data.train_x, data.train_y, ImageConfig(mode="crop"), size=16, batch=12, seed=0
    )
    x, y = (((batches.at(0)[k][:, 0, 0, 0] + 1) * 127.5).round().int().tolist() for k in "xy")
    assert sorted(x) == [10 * i for i in range(12)]
    assert sorted(y) == [10 * i + 1 for i in range(12)]
    assert [v + 1 for v in x] != y


@pytest.mark.parametrize(
    ("size", "reason"),
    [((41, 20), "41 pixels wide: an odd width"), ((20, 20), "20 x 20 pixels: not two pictures")],
)
def test_pictures_that_have_no_two_halves_are_skipped_or_refused(size, reason, tmp_path):
    train = write_side_by_side(tmp_path / "train", 24)
    Image.new("RGB", size).save(train / "odd.png")
    for paired in (True, False):
        data = open_dataset(str(tmp_path), paired=paired)
        assert len(data.train_x) == len(data.train_y) == 24
        ((name, why),) = data.skipped
        assert Path(name).name == "odd.png"
        assert why.startswith(reason)
    for i in range(3):
        Image.new("RGB", size).save(train / f"odd{i}.png")
    with pytest.raises(UserError, match=f"4 of 28 files .*{reason}"):
        open_dataset(str(tmp_path))


def test_a_test_picture_without_halves_is_unreadable_when_its_turn_comes(tmp_path):
    write_side_by_side(tmp_path / "train", 3)
    write_side_by_side(tmp_path / "test", 1, width=41)
    with pytest.raises(UnreadableImage, match="odd width"):
        open_dataset(str(tmp_path)).test_x.read(0)


def test_pictures_of_classes_in_sub_folders_are_not_taken_for_pairs(tmp_path):
    write_side_by_side(tmp_path / "train" / "cats", 3)
    with pytest.raises(UserError, match="nor pictures side by side in train"):
        open_dataset(str(tmp_path))


def test_halves_convert_their_channels_each(tmp_path):
    write_side_by_side(tmp_path / "train", 3)
    data = open_dataset(str(tmp_path), channels_x=1, paired=True)
    assert data.train_x.read(0).shape == (20, 20, 1)
    assert data.train_y.read(0).shape == (20, 20, 3)


# -- the embedded tiles, and swapping ------------------------------------------------------------


def test_paired_tiles_show_the_places_of_x_in_both_views():
    hidden, shown = (open_dataset("worldtiles:labels-aerial", paired=p) for p in (False, True))
    assert shown.train_x.names == shown.train_y.names == hidden.train_x.names
    for i in (0, 17, len(shown.train_x) - 1):
        labels, aerial = shown.train_x.read(i), shown.train_y.read(i)
        np.testing.assert_array_equal(labels, hidden.train_x.read(i))
        reverse = open_dataset("worldtiles:aerial-labels").train_x
        np.testing.assert_array_equal(aerial, reverse.read(i))
    np.testing.assert_array_equal(shown.test_y.read(5), hidden.test_y.read(5))


@pytest.mark.parametrize("paired", [True, False])
def test_swap_exchanges_train_test_and_channels(paired, tmp_path):
    folder = write_pairs(tmp_path / "d")
    plain = open_dataset(str(folder), paired=paired)
    swapped = open_dataset(str(folder), paired=paired, swap=True, channels_x=1)
    assert swapped.name == f"{folder}, swapped"
    assert (swapped.train_x.channels, swapped.train_y.channels) == (1, 3)
    np.testing.assert_array_equal(swapped.train_y.read(3), plain.train_x.read(3))
    np.testing.assert_array_equal(swapped.test_x.read(1), plain.test_y.read(1)[:, :, :1])
    assert swapped.paired_test == plain.paired_test


# -- crops ---------------------------------------------------------------------------------------


class Coordinates:
    """A reader of pictures whose pixels hold (row, column, number) in 16 bits.

    Values are shares of the picture's sides, so that they survive a resize.
    """

    def __init__(self, sizes: list[tuple[int, int]], mark: int) -> None:
        self.sizes, self.mark = sizes, mark

    def __call__(self, index: int, at_least: int | None = None) -> np.ndarray:
        h, w = self.sizes[index]
        rows, columns = np.mgrid[:h, :w] + 0.5
        number = np.full((h, w), 100 * index + self.mark)
        shares = (65535 * rows / h, 65535 * columns / w, number)
        return np.rint(np.stack(shares, axis=2)).astype(np.uint16)


def coordinates(sizes: list[tuple[int, int]], mark: int) -> Domain:
    names = tuple(f"{i}.png" for i in range(len(sizes)))
    return Domain(names, Coordinates(sizes, mark), 3, "uint16")


sides = st.tuples(st.integers(16, 50), st.integers(16, 50))


@given(
    sizes=st.lists(st.tuples(sides, sides), min_size=2, max_size=4),
    alike=st.booleans(),
    mode=st.sampled_from(["resize-crop", "crop", "scale-width"]),
    flip=st.booleans(),
    rotate=st.booleans(),
    seed=st.integers(0, 5),
    step=st.integers(0, 20),
)
def test_both_of_a_pair_show_the_same_place_after_any_crop_flip_and_turn(
    sizes, alike, mode, flip, rotate, seed, step
):
    """Equal sizes: to the bit. Other sizes: within the pixel that resizing blurs."""
    x = coordinates([a for a, _ in sizes], 0)
    y = coordinates([a if alike else b for a, b in sizes], 7)
    images = ImageConfig(mode=mode, flip=flip, rotate=rotate)
    batches = Batches(x, y, images, size=16, batch=3, seed=seed, paired=True)
    batch = batches.at(step)
    made_x, made_y = ((batch[k].numpy().astype(np.float64) + 1) * 65535 / 2 for k in "xy")
    np.testing.assert_allclose(made_y[:, 2] - made_x[:, 2], 7, atol=0.1)
    if alike:
        np.testing.assert_array_equal(batch["x"][:, :2], batch["y"][:, :2])
    else:
        pixel = 65535 / 16
        assert np.abs(made_x[:, :2] - made_y[:, :2]).max() < 1.5 * pixel
    fixed_x, fixed_y = (batches.fixed(k, [0, 1]).numpy() for k in "xy")
    assert np.abs(fixed_x[:, :2] - fixed_y[:, :2]).max() < 3 / 16


def test_pairs_come_in_the_order_and_crops_in_which_unpaired_methods_see_x():
    x, y = (coordinates([(24, 24)] * 5, mark) for mark in (0, 7))
    options = {"size": 16, "batch": 2, "seed": 1}
    paired = Batches(x, y, ImageConfig(), **options, paired=True)
    unpaired = Batches(x, y, ImageConfig(), **options)
    for one, two in islice(zip(paired.from_step(0), unpaired.from_step(0)), 4):
        np.testing.assert_array_equal(one["x"], two["x"])
    assert paired.steps_per_epoch == 3


@pytest.mark.parametrize("changes", [{"cache_share": 0.0}, {"workers": 2}])
def test_cache_and_workers_change_no_pair(changes):
    x, y = (coordinates([(24, 20 + i) for i in range(5)], mark) for mark in (0, 7))
    options = {"size": 16, "batch": 2, "seed": 1, "paired": True}
    plain, other = (Batches(x, y, ImageConfig(), **{**options, **c}) for c in ({}, changes))
    for one, two in islice(zip(plain.from_step(2), other.from_step(2)), 4):
        np.testing.assert_array_equal(one["x"], two["x"])
        np.testing.assert_array_equal(one["y"], two["y"])


class Broken(Coordinates):
    """Picture 2 can't be read."""

    def __call__(self, index: int, at_least: int | None = None) -> np.ndarray:
        if index == 2:
            raise UnreadableImage(Path("2.png"), "gone")
        return super().__call__(index, at_least)


@pytest.mark.parametrize("broken", ["x", "y"])
def test_a_pair_that_breaks_on_the_way_is_skipped_as_a_whole(broken):
    said: list[tuple[str, str]] = []
    x, y = (
        Domain(
            tuple(f"{i}.png" for i in range(5)),
            (Broken if name == broken else Coordinates)([(16, 16)] * 5, mark),
            3,
            "uint16",
        )
        for name, mark in (("x", 0), ("y", 7))
    )
    batches = Batches(
        x,
        y,
        ImageConfig(mode="none"),
        size=16,
        batch=5,
        seed=0,
        paired=True,
        on_skip=lambda *a: said.append(a),
    )
    shown, fixed = batches.at(0), [batches.fixed(name, [2]) for name in ("x", "y")]
    for a, b in ((shown["x"], shown["y"]), fixed):
        one, two = (np.rint((v[:, 2, 0, 0].numpy() + 1) * 65535 / 2) for v in (a, b))
        np.testing.assert_array_equal(one + 7, two)
        assert 200 not in one
    assert said == [("2.png", "gone; the pair is left out")]


@pytest.mark.parametrize(
    "images",
    [
        ImageConfig(mode_y="crop"),
        ImageConfig(load=40, load_y=30),
        ImageConfig(flip_y=False),
        ImageConfig(rotate_y=True),
    ],
)
def test_a_geometry_of_its_own_for_y_is_refused_for_pairs(images):
    x = coordinates([(24, 24)] * 3, 0)
    with pytest.raises(UserError, match=r"--images\.\w+-y differs from --images\.\w+, but"):
        Batches(x, x, images, size=16, batch=1, seed=0, paired=True)
    labels = ImageConfig(interpolation_y="nearest", mode_y="resize-crop")
    Batches(x, x, labels, size=16, batch=1, seed=0, paired=True)


def test_the_validation_share_holds_pairs_together(tmp_path, monkeypatch):
    from unpaired.methods import METHODS
    from unpaired.training.run import train
    from unpaired.training.validation import Judgement

    folder, seen = write_pairs(tmp_path / "d", train=25), {}
    monkeypatch.setattr(METHODS["cyclegan"], "paired", True)

    def judge(shown):
        seen["x"], seen["y"] = shown.x, shown.y
        return Judgement(1.0)

    config = tiny_config(folder, steps=1, evaluate_every=1)
    train(config, tmp_path / "run", judge=judge, quiet=True)
    assert len(seen["x"]) == 2
    np.testing.assert_allclose(seen["y"] - seen["x"], 1 / 127.5, atol=1e-6)


def test_names_of_unpaired_sets_need_no_partners(tmp_path):
    data = open_dataset(str(write_dataset(tmp_path / "d")))
    assert len(data.train_x) != len(data.train_y)


def test_check_counts_the_pairs_of_folders_and_of_pictures_side_by_side(tmp_path):
    folders = check_dataset(str(write_pairs(tmp_path / "folders")))
    write_side_by_side(tmp_path / "halves" / "train", 5)
    halves = check_dataset(str(tmp_path / "halves"))
    assert (folders.train_pairs, halves.train_pairs) == (7, 5)
    assert "left and right halves" in halves.text()
    assert "5 training pairs: paired methods can learn from them" in halves.text()
    assert halves.splits["train_y"].largest == "20 x 20"
    assert check_dataset(str(write_dataset(tmp_path / "none"))).train_pairs == 0
