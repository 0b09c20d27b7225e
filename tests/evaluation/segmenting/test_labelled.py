"""Pairs of photo and label image: which is which, and what is refused."""

import re

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.segmenting.pairs import THREE, make_pairs, write_pairs
from unpaired.data.catalog import worldtiles_view
from unpaired.data.datasets import open_dataset
from unpaired.errors import UserError
from unpaired.evaluation.segmenting.classes import CLASSES
from unpaired.evaluation.segmenting.labelled import parse_size, read_labelled, side_of_labels
from unpaired.evaluation.segmenting.labels import foreign_colours, render


@pytest.fixture
def data(tmp_path):
    return write_pairs(tmp_path / "data", train=4, test=3)


def test_photos_come_with_their_classes(data):
    train, test = read_labelled(str(data), THREE)
    for found, (photos, maps) in ((train, make_pairs(4, 0)), (test, make_pairs(3, 1))):
        np.testing.assert_array_equal(found.photos, photos)
        np.testing.assert_array_equal(found.maps, maps)
        assert len(found) == len(photos)


def test_the_label_side_is_found_or_told(data):
    for split in ("train", "test"):
        (data / f"{split}A").rename(data / "between")
        (data / f"{split}B").rename(data / f"{split}A")
        (data / "between").rename(data / f"{split}B")
    found, _ = read_labelled(str(data), THREE)
    told, _ = read_labelled(str(data), THREE, labels="y")
    np.testing.assert_array_equal(found.maps, make_pairs(4, 0)[1])
    np.testing.assert_array_equal(found.maps, told.maps)


def test_resizing_mixes_no_colours(data):
    train, test = read_labelled(str(data), THREE, size=(12, 20))
    assert train.photos.shape == (4, 12, 20, 3)
    assert test.maps.shape == (3, 12, 20)
    assert train.maps.max() < 3  # a mixed colour would be no class


def test_worldtiles_gives_the_places_of_both_training_splits():
    train, test = read_labelled("worldtiles:labels-aerial", CLASSES["worldtiles"])
    other, _ = read_labelled("worldtiles:aerial-labels", CLASSES["worldtiles"])
    aerial = [worldtiles_view("aerial", split) for split in ("train_x", "train_y", "test")]
    labels = [worldtiles_view("labels", split) for split in ("train_x", "train_y", "test")]
    np.testing.assert_array_equal(train.photos, np.concatenate(aerial[:2]))
    np.testing.assert_array_equal(other.photos, train.photos)
    np.testing.assert_array_equal(
        render(train.maps, CLASSES["worldtiles"]), np.concatenate(labels[:2])
    )
    np.testing.assert_array_equal(test.photos, aerial[2])
    np.testing.assert_array_equal(render(test.maps, CLASSES["worldtiles"]), labels[2])


def paint(path, size, colour):
    Image.new("RGB", size, colour).save(path)


TROUBLE = {
    "a label image of another size": (
        lambda data: paint(data / "trainA" / "01.png", (16, 16), (0, 0, 200)),
        'photo "01.png" is 32 x 32 pixels but its label image "01.png" 16 x 16',
    ),
    "photos of several sizes": (
        lambda data: [
            paint(data / f"train{side}" / "01.png", (16, 24), (0, 0, 200)) for side in "AB"
        ],
        "--size",
    ),
    "an unknown colour": (
        lambda data: paint(data / "trainA" / "03.png", (32, 32), (255, 0, 255)),
        r'"03.png".*\[255, 0, 255\]',
    ),
    "no partner": (lambda data: (data / "trainB" / "00.png").unlink(), "have no partner"),
    "one test pair": (
        lambda data: [
            (data / f"test{side}" / f"0{i}.png").unlink() for side in "AB" for i in (0, 1)
        ],
        "1 test pairs",
    ),
    "no test split": (
        lambda data: [file.unlink() for side in "AB" for file in (data / f"test{side}").iterdir()],
        "0 test pairs",
    ),
    "a photo that is none": (
        lambda data: (data / "testB" / "00.png").write_text("no picture"),
        "00.png.*mend or remove",
    ),
}


@pytest.mark.parametrize(("spoil", "said"), TROUBLE.values(), ids=TROUBLE.keys())
def test_bad_pairs_are_refused_in_one_line(data, spoil, said):
    spoil(data)
    with pytest.raises(UserError, match=said) as error:
        read_labelled(str(data), THREE)
    assert "\n" not in str(error.value)


def test_two_sides_of_labels_or_none_need_a_word(data):
    with pytest.raises(UserError, match="neither side"):
        read_labelled(str(data), CLASSES["worldtiles"])
    for split in ("train", "test"):
        for file in (data / f"{split}B").iterdir():
            file.write_bytes((data / f"{split}A" / file.name).read_bytes())
    with pytest.raises(UserError, match=r"both sides.*--labels"):
        read_labelled(str(data), THREE)


def smear(data, quality):
    """Label images as JPEG leaves them."""
    for split in ("train", "test"):
        for file in (data / f"{split}A").iterdir():
            with Image.open(file) as picture:
                picture.save(file.with_suffix(".jpg"), quality=quality)
            file.unlink()


def test_label_images_are_known_by_most_of_their_pixels_though_jpeg_blurred_edges(tmp_path):
    data = write_pairs(tmp_path / "data", train=4, test=3, side=64)
    smear(data, 90)
    found = open_dataset(str(data), paired=True)
    assert side_of_labels(found, THREE) == "x"
    assert 0 < foreign_colours([found.train_x.read(0)], THREE)[0] < 0.25
    assert foreign_colours([found.train_y.read(0)], THREE)[0] == 1
    with pytest.raises(UserError, match=r'"00.jpg": 11% of its pixels .* no JPEG .* has blurred'):
        read_labelled(str(data), THREE)


def test_smeared_label_images_are_refused_with_what_both_sides_are_like(data):
    smear(data, 1)
    with pytest.raises(UserError) as error:
        read_labelled(str(data), THREE)
    said = str(error.value)
    assert re.search(r"neither side .* \(X: \d\d% of the pixels .* \[.*; Y: 100% of the", said)
    assert "JPEG" in said
    assert "--labels x or y" in said
    assert "\n" not in said
    with pytest.raises(UserError, match="no JPEG or resizing has blurred"):
        read_labelled(str(data), THREE, labels="x")


def test_a_side_that_cannot_be_read_is_said_to_be_so(data):
    found = open_dataset(str(data), paired=True)
    for file in (data / "trainA").iterdir():
        file.write_text("no picture")
    with pytest.raises(UserError, match=r"X: no picture can be read; Y: 100%"):
        side_of_labels(found, THREE)


@pytest.mark.parametrize("other", ["aerial", "map", "terrain"])
def test_labels_are_told_from_every_other_view_of_the_tiles(other):
    for pair, side in ((f"labels-{other}", "x"), (f"{other}-labels", "y")):
        found = open_dataset(f"worldtiles:{pair}")
        assert side_of_labels(found, CLASSES["worldtiles"]) == side


def test_a_size_is_a_side_or_width_by_height():
    assert parse_size("64") == (64, 64)
    assert parse_size("128x96") == (96, 128)
    for wrong in ("", "x", "64x", "1x2x3", "-4", "0", "wide", "6.4"):
        with pytest.raises(UserError, match="--size"):
            parse_size(wrong)
