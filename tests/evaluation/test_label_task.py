"""Who reads which class maps, and the floors beneath."""

import numpy as np
import pytest

from tests.evaluation.pairs import THREE, write_pairs
from unpaired.data.domains import open_dataset
from unpaired.data.images import ImageConfig
from unpaired.errors import UserError
from unpaired.evaluation.label_task import label_task
from unpaired.evaluation.labels import CLASSES, nearest, render
from unpaired.evaluation.segmenter import CallableSegmenter
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


def test_fewer_than_two_pictures_are_refused(folder):
    data = open_dataset(str(folder))
    with pytest.raises(
        UserError, match="domain X has too few training pictures to judge by, 1; give 2 or more"
    ):
        open_views(data, IMAGES, 32, 1)
