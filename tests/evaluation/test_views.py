"""Which pictures every number is taken on."""

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.segmenting.pairs import make_pairs, write_pairs
from unpaired.data.datasets import open_dataset
from unpaired.data.images import ImageConfig
from unpaired.errors import UserError
from unpaired.evaluation.views import open_views, read_again, seen_size, unmixed

IMAGES = ImageConfig(load=32)


@pytest.fixture
def folder(tmp_path):
    return write_pairs(tmp_path / "data", train=6, test=5)


def spoil(*files):
    for file in files:
        file.write_text("no picture")


def views_of(folder, limit=500, pairs=False, size=32, images=IMAGES):
    """As `open_views` sees a folder whose files are spoilt only after it was opened."""
    return open_views(open_dataset(str(folder), paired=pairs), images, size, limit, pairs=pairs)


def test_both_splits_are_decoded_as_they_lie_on_disk(folder):
    views = views_of(folder)
    assert views.held_out
    assert views.paired
    np.testing.assert_array_equal(views.train["y"], make_pairs(6, 0)[0])
    np.testing.assert_array_equal(views.test["y"], make_pairs(5, 1)[0])
    assert views.names["x"] == tuple(f"0{i}.png" for i in range(5))
    assert views.train_names["y"] == tuple(f"0{i}.png" for i in range(6))


def test_an_unreadable_test_picture_takes_its_partner_along(folder):
    spoil(folder / "testA" / "01.png", folder / "testB" / "03.png")
    views = views_of(folder)
    assert views.names == dict.fromkeys("xy", ("00.png", "02.png", "04.png"))
    np.testing.assert_array_equal(views.test["y"], make_pairs(5, 1)[0][[0, 2, 4]])


def test_without_pairs_only_the_unreadable_picture_itself_is_left_out(folder):
    (folder / "testA" / "01.png").rename(folder / "testA" / "other.png")
    dataset = open_dataset(str(folder))
    assert not dataset.paired_test
    spoil(folder / "testB" / "03.png")
    views = open_views(dataset, IMAGES, 32, 500)
    assert not views.paired
    assert [len(views.names[name]) for name in "xy"] == [5, 4]


@pytest.mark.parametrize("pairs", [True, False])
def test_training_pictures_lose_partners_only_if_they_are_pairs(folder, pairs):
    dataset = open_dataset(str(folder), paired=pairs)
    spoil(folder / "trainA" / "02.png")
    views = open_views(dataset, IMAGES, 32, 500, pairs=pairs)
    assert len(views.train["x"]) == 5
    assert len(views.train["y"]) == (5 if pairs else 6)
    assert ("02.png" in views.train_names["y"]) is not pairs


def test_a_limit_takes_pictures_evenly_spread_the_same_of_both_sides(folder):
    views = views_of(folder, limit=3)
    assert views.names == dict.fromkeys("xy", ("00.png", "01.png", "03.png"))
    assert views.train_names["x"] == ("00.png", "02.png", "04.png")
    np.testing.assert_array_equal(views.test["y"], make_pairs(5, 1)[0][[0, 1, 3]])


@pytest.mark.parametrize("left", [0, 1])
def test_with_less_than_two_test_pictures_training_pictures_are_judged(folder, left):
    for side in "AB":
        for file in sorted((folder / f"test{side}").iterdir())[left:]:
            file.unlink()
    views = views_of(folder)
    assert not views.held_out
    assert not views.paired
    assert views.names == views.train_names
    np.testing.assert_array_equal(views.test["y"], make_pairs(6, 0)[0])
    assert views_of(folder, pairs=True).paired  # known training pairs are test pairs then


@pytest.mark.parametrize(("split", "word"), [("test", "test"), ("train", "training")])
def test_fewer_than_two_readable_pictures_are_refused(folder, split, word):
    dataset = open_dataset(str(folder))
    spoil(*sorted((folder / f"{split}B").iterdir())[1:])
    said = "X" if split == "test" else "Y"  # a test pair needs both, and X is looked at first
    with pytest.raises(UserError, match=f"domain {said} has too few {word} pictures .*, 1;"):
        open_views(dataset, IMAGES, 32, 500)


def test_pictures_of_several_shapes_are_cropped_to_their_middle(folder):
    images = ImageConfig(mode="scale-width", load=32)
    tall = np.arange(48, dtype=np.uint8)[:, None, None].repeat(32, 1).repeat(3, 2)
    Image.fromarray(tall).save(folder / "testB" / "01.png")
    views = views_of(folder, size=32, images=images)
    assert views.test["y"].shape == (5, 32, 32, 3)
    np.testing.assert_array_equal(views.test["y"][1], tall[8:40])
    assert seen_size(open_dataset(str(folder)), images, 16) == (32, 32)


def test_label_images_are_read_again_unmixed_and_photos_stay_as_they_were(folder):
    images = ImageConfig(load=24)
    for name, other in (("x", "y"), ("y", "x")):
        apart = unmixed(images, name)
        assert apart.of(name).interpolation == "nearest"
        assert apart.of(other) == images.of(other)
    dataset = open_dataset(str(folder))
    spoil(folder / "testB" / "02.png")
    views = open_views(dataset, images, 24, 4)
    again = read_again(dataset, views, "x", unmixed(images, "x"), 24)
    assert views.names["x"] == ("00.png", "01.png", "03.png")
    colours = {tuple(c) for c in again.reshape(-1, 3).tolist()}
    assert len(colours) == 3 < len(np.unique(views.test["x"].reshape(-1, 3), axis=0))
    for mixed, plain in zip(views.test["x"], again):  # the same pictures in the same order
        assert np.abs(mixed.astype(int) - plain).mean() < 20
