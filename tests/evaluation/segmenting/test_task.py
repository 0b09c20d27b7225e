"""Who reads which class maps, and the floors beneath."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.segmenting.pairs import THREE, write_pairs
from unpaired.data.datasets import open_dataset
from unpaired.data.images import ImageConfig
from unpaired.errors import UserError
from unpaired.evaluation.segmenting.classes import CLASSES
from unpaired.evaluation.segmenting.labels import nearest, render
from unpaired.evaluation.segmenting.outside import CallableSegmenter
from unpaired.evaluation.segmenting.task import label_task
from unpaired.evaluation.views import open_views

IMAGES = ImageConfig(load=32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pairs") / "d", train=8, test=5)


def task_of(folder, swap=False, segmenter=None, classes=THREE):
    data = open_dataset(str(folder), swap=swap)
    pairs = open_dataset(str(folder), swap=swap, paired=True)
    views = open_views(data, IMAGES, 32, 500)
    return label_task(classes, data, pairs, views, IMAGES, 32, 500, segmenter), views


@pytest.mark.parametrize("swap", [False, True])
def test_the_labels_are_found_on_either_side_and_floors_are_known(folder, swap):
    reader = CallableSegmenter(lambda photo: np.full(photo.shape[:2], 1), THREE, "wood")
    task, views = task_of(folder, swap, reader)
    assert task.domain == ("y" if swap else "x")
    np.testing.assert_array_equal(task.truth, nearest(views.test[task.domain], THREE))
    to_labels = "x2y" if swap else "y2x"
    floors = task.floors(to_labels, views, 0)
    assert floors["lookup"]["class_iou"].value > 0.99  # its photos have a colour per class
    share = (task.truth == task.commonest).mean()
    assert floors["majority"]["pixel_accuracy"].value == pytest.approx(share)
    wood = (task.truth == 1).mean()
    assert floors["ceiling"]["pixel_accuracy"].value == pytest.approx(wood)
    to_photo = to_labels[::-1]
    assert task.floors(to_photo, views, 0)["lookup"]["pixel_accuracy"].value == pytest.approx(wood)


def test_generated_labels_are_read_by_colour_and_photos_by_the_segmenter(folder):
    task, views = task_of(folder)
    drawn = render(task.truth, THREE)
    np.testing.assert_array_equal(task.read(drawn, "y2x"), task.truth)
    assert task.read(views.test["y"], "x2y") is None
    assert task.scores(None, 0) == {}
    assert task.judges("x2y", paired=False)
    assert not task.judges("y2x", paired=False)


def test_classes_of_other_colours_are_refused_with_one_of_them(folder):
    with pytest.raises(
        UserError, match=r"neither side has the colours .* cityscapes \(X: .*; Y: .*"
    ):
        task_of(folder, classes=CLASSES["cityscapes"])


def paint(folder, split, stripes):
    """One class per row of eight, photos in one plain colour per class."""
    maps = np.array(stripes, np.uint8).repeat(32 // len(stripes[0]), 1)[..., None].repeat(32, 2)
    for side, pictures in (("A", render(maps, THREE)), ("B", COLOURS[maps])):
        (folder / f"{split}{side}").mkdir(parents=True)
        for i, picture in enumerate(pictures):
            Image.fromarray(picture).save(folder / f"{split}{side}" / f"{i}.png")


COLOURS = np.array([[10, 20, 30], [100, 110, 120], [200, 190, 180]], np.uint8)


@pytest.fixture
def striped(tmp_path):
    """Sea on 5/8 of the training pixels but 1/8 of the test pixels; sand is never learnt."""
    paint(tmp_path / "d", "train", [[0, 0, 0, 1], [0, 0, 1, 1]])
    paint(tmp_path / "d", "test", [[0, 1, 1, 1], [1, 1, 2, 2]])
    return tmp_path / "d"


def test_the_floors_are_what_training_pixels_alone_can_tell(striped):
    reader = CallableSegmenter(lambda photo: np.where(photo[..., 0] > 50, 1, 2), THREE, "r")
    task, views = task_of(striped, segmenter=reader)
    assert task.commonest == 0
    np.testing.assert_allclose(task.lookup.means[:2], COLOURS[:2])
    assert np.isnan(task.lookup.means[2]).all()
    floors = {
        direction: {
            row: scores["pixel_accuracy"].value
            for row, scores in task.floors(direction, views, 0).items()
        }
        for direction in ("y2x", "x2y")
    }
    # sea is 1/8 of the test pixels; sand, never seen in training, is taken for wood; the reader
    # knows wood (5/8), and takes sand for wood and sea for sand
    assert floors["y2x"] == pytest.approx({"majority": 1 / 8, "lookup": 6 / 8, "ceiling": 5 / 8})
    # drawn by the lookup sand is grey, which the reader takes for wood
    assert floors["x2y"] == pytest.approx({"majority": 1 / 8, "lookup": 5 / 8, "ceiling": 5 / 8})
    iou = task.floors("y2x", views, 0)["majority"]["class_iou"].value
    assert iou == pytest.approx((1 / 8 + 0 + 0) / 3)


def test_what_needs_pairs_is_missing_without_them(striped):
    data = open_dataset(str(striped))
    views = replace(open_views(data, IMAGES, 32, 500), paired=False)
    reader = CallableSegmenter(lambda photo: np.zeros(photo.shape[:2], int), THREE, "r")
    alone = label_task(THREE, data, None, views, IMAGES, 32, 500, reader)
    assert alone.floors("x2y", views, 0) == {}
    np.testing.assert_array_equal(alone.truth, nearest(views.test["x"], THREE))
    pairs = open_dataset(str(striped), paired=True)
    learnt = label_task(THREE, data, pairs, views, IMAGES, 32, 500, reader)
    assert learnt.floors("x2y", views, 0).keys() == {"majority"}


def test_truths_follow_the_pictures_that_are_judged(folder):
    data = open_dataset(str(folder))
    views = open_views(data, IMAGES, 32, 3)
    task = label_task(THREE, data, None, views, IMAGES, 32, 3)
    full = open_views(data, IMAGES, 32, 500)
    np.testing.assert_array_equal(task.truth, nearest(full.test["x"][[0, 1, 3]], THREE))


def test_a_label_image_that_jpeg_smeared_is_named(tmp_path):
    folder = write_pairs(tmp_path / "d", train=4, test=3, side=64)
    with Image.open(folder / "testA" / "01.png") as picture:
        picture.save(tmp_path / "smeared.jpg", quality=5)
    with Image.open(tmp_path / "smeared.jpg") as picture:
        picture.save(folder / "testA" / "01.png")
    with pytest.raises(UserError, match=r'"01.png": .* no JPEG or resizing has blurred') as error:
        label_task(
            THREE,
            data := open_dataset(str(folder)),
            None,
            open_views(data, ImageConfig(load=64), 64, 500),
            ImageConfig(load=64),
            64,
            500,
        )
    assert "\n" not in str(error.value)
