"""The segmenter that a reproduction trains for itself: taken again only where it still fits."""

import dataclasses
import os

import pytest

from tests.evaluation.segmenting.pairs import THREE, write_pairs
from tests.training.runs import tiny_config
from unpaired import reproduction
from unpaired.data.images import ImageConfig
from unpaired.errors import UserError
from unpaired.evaluation.segmenting import ceiling
from unpaired.evaluation.segmenting.training import train_segmenter
from unpaired.reproduction import _own_segmenter


def quick(*given, **named):
    return train_segmenter(*given, **{**named, "steps": 2, "width": 4, "device": "cpu"})


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr(ceiling, "train_segmenter", quick)
    return tiny_config(write_pairs(tmp_path / "data", train=4, test=3))


def own(folder, config, classes=THREE):
    said = []
    return _own_segmenter(folder, config, classes, said.append), said


def test_it_is_trained_once_at_the_size_at_which_the_runs_see(tmp_path, config):
    first, said = own(tmp_path / "s", config)
    assert said == ["training the segmenter on the real pairs"]
    assert first.card.size == (16, 16)
    again, said = own(tmp_path / "s", config)
    assert said == []
    assert again.key == first.key


def test_a_copy_of_the_classes_and_an_exchange_of_the_sides_are_no_change(tmp_path, config):
    first, _ = own(tmp_path / "s", config)
    copied = dataclasses.replace(THREE, name="copy")
    swapped = dataclasses.replace(config, swap=True)
    assert own(tmp_path / "s", swapped, copied)[0].key == first.key


@pytest.mark.parametrize(
    ("changes", "classes", "word"),
    [
        ({"seed": 4}, THREE, "seed"),
        ({"size": 24}, THREE, "size"),
        ({"images": ImageConfig(rotate=True)}, THREE, "turns"),
        ({}, dataclasses.replace(THREE, ignored=()), "classes"),
    ],
)
def test_one_that_was_trained_otherwise_is_refused(tmp_path, config, changes, classes, word):
    own(tmp_path / "s", config)
    with pytest.raises(UserError) as error:
        own(tmp_path / "s", dataclasses.replace(config, **changes), classes)
    assert f'/s" holds a segmenter that was trained with other {word}; move it' in str(error.value)
    assert "\n" not in str(error.value)


def test_one_that_learnt_from_other_pictures_is_refused(tmp_path, config):
    own(tmp_path / "s", config)
    picture = tmp_path / "data" / "trainB" / "00.png"
    os.utime(picture, ns=(0, picture.stat().st_mtime_ns + 1))
    with pytest.raises(UserError, match="trained with other pictures;"):
        own(tmp_path / "s", config)


def test_two_folders_without_a_common_one_need_a_segmenter_from_elsewhere(tmp_path, config):
    data = tmp_path / "data"
    apart = dataclasses.replace(config, data=None, x=str(data / "trainA"), y=str(data / "trainB"))
    with pytest.raises(UserError, match="--segmenter"):
        own(tmp_path / "s", apart)
    assert not (tmp_path / "s").exists()


def test_the_public_call_takes_worldtiles_classes_unless_told_otherwise():
    assert reproduction._usual("worldtiles:labels-aerial").classes.name == "worldtiles"
    assert reproduction._usual("some/folder").classes is None
