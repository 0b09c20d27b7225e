"""Segmenters of our own: what they learn, keep and refuse."""

import dataclasses
import json
import time

import numpy as np
import pytest
import torch

from tests.evaluation.segmenting.pairs import THREE, make_pairs
from unpaired.errors import UserError
from unpaired.evaluation.segmenting.classes import CLASSES, IGNORED
from unpaired.evaluation.segmenting.segmenter import load_segmenter
from unpaired.evaluation.segmenting.trained import SegmenterCard, TrainedSegmenter
from unpaired.evaluation.segmenting.training import (
    BATCH,
    _chosen,
    class_weights,
    one_cycle,
    train_segmenter,
)


def trained(steps: int = 2, **changes) -> TrainedSegmenter:
    photos, maps = make_pairs(20, 0)
    given = {"width": 8, "data": "patches", "device": "cpu", "steps": steps, **changes}
    return train_segmenter(photos, maps, THREE, **given)


@pytest.fixture(scope="module")
def learnt() -> TrainedSegmenter:
    return trained(80, rotate=True)


def weights(segmenter: TrainedSegmenter) -> dict[str, torch.Tensor]:
    return segmenter.network.state_dict()


def test_it_learns_to_name_the_pixels_of_photos_that_it_never_saw(learnt):
    photos, maps = make_pairs(6, 1)
    assert (learnt(photos) == maps).mean() > 0.9


def test_one_seed_gives_one_segmenter_and_another_seed_another():
    one, same, other = trained(seed=4), trained(seed=4), trained(seed=5)
    assert all(torch.equal(a, weights(same)[k]) for k, a in weights(one).items())
    assert not all(torch.equal(a, weights(other)[k]) for k, a in weights(one).items())


def test_training_leaves_torchs_own_random_numbers_as_they_were():
    before = torch.get_rng_state()
    trained()
    assert torch.equal(torch.get_rng_state(), before)


def test_minutes_end_the_training_whatever_the_steps():
    began = time.monotonic()
    shares = []
    segmenter = trained(
        steps=10**6, minutes=0.01, on_progress=lambda step, share, loss: shares.append(share)
    )
    assert time.monotonic() - began < 10
    assert 1 <= segmenter.card.training["steps"] == len(shares) < 10**6
    assert shares[-1] == 1
    assert shares == sorted(shares)


def test_pixels_without_class_teach_nothing():
    """The right half of every training photo is noise that no class map speaks of."""
    photos, maps = make_pairs(20, 0)
    hidden = maps.copy()
    hidden[:, :, 16:] = IGNORED
    photos[:, :, 16:] = np.random.default_rng(0).integers(0, 256, (20, 32, 16, 3))
    segmenter = train_segmenter(photos, hidden, THREE, steps=60, width=8, device="cpu")
    fresh, truth = make_pairs(6, 1)
    read = segmenter(fresh)
    assert read.max() < len(THREE.names)
    assert (read == truth).mean() > 0.8


def test_crops_without_any_class_do_no_harm():
    photos, maps = make_pairs(4, 0)
    few = np.full_like(maps, IGNORED)
    few[0, 0, 0] = maps[0, 0, 0]
    segmenter = train_segmenter(photos, few, THREE, steps=4, width=4, device="cpu")
    assert all(value.isfinite().all() for value in weights(segmenter).values())


def test_it_reads_pictures_of_any_size_the_same_alone_and_in_company(learnt):
    photos = np.random.default_rng(0).integers(0, 256, (3, 33, 47, 3), dtype=np.uint8)
    read = learnt(photos)
    assert read.shape == (3, 33, 47)
    assert read.dtype == np.uint8
    assert (learnt(photos[1:2])[0] == read[1]).mean() > 0.99
    assert learnt(photos[:0]).shape == (0, 33, 47)


@pytest.mark.parametrize("turn", [lambda p: p[:, :, ::-1], lambda p: np.rot90(p, 1, (1, 2))])
def test_a_mirrored_or_turned_picture_is_read_as_mirrored_or_turned_classes(learnt, turn):
    photos, _ = make_pairs(4, 2)
    assert (learnt(turn(photos)) == turn(learnt(photos))).mean() > 0.99  # ties may fall otherwise


def test_saved_and_loaded_it_reads_the_same_and_says_the_same(learnt, tmp_path):
    learnt.save(tmp_path / "deep" / "one")
    assert {p.name for p in (tmp_path / "deep").iterdir()} == {"one"}
    again = load_segmenter(str(tmp_path / "deep" / "one"), THREE, "cpu")
    assert again.card == learnt.card
    assert again.name == learnt.name == "FCN trained on patches"
    assert again.key == learnt.key
    photos, _ = make_pairs(3, 3)
    np.testing.assert_array_equal(again(photos), learnt(photos))


def test_one_of_the_same_name_has_another_key_if_weights_or_card_are_others(learnt):
    key = learnt.key
    other = trained()
    assert other.name == learnt.name
    other.card = learnt.card
    assert other.key != key  # only the weights differ
    other.network.load_state_dict(learnt.network.state_dict())
    assert other.key == key
    other.card = dataclasses.replace(learnt.card, rotate=False)
    assert other.key != key


def test_the_card_says_how_it_was_trained(learnt, tmp_path):
    learnt.save(tmp_path / "one")
    told = json.loads((tmp_path / "one" / "segmenter.json").read_text())
    assert told["classes"]["names"] == ["sea", "wood", "sand"]
    assert told["size"] == [32, 32]
    assert told["data"] == "patches"
    assert told["training"].keys() >= {"pictures", "steps", "batch", "seconds", "seed", "rate"}
    assert told["training"]["pictures"] == 20
    assert told["versions"].keys() == {"unpaired", "torch", "python"}


DAMAGE = {
    "no folder": lambda folder: [p.unlink() for p in folder.iterdir()],
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "cut weights": lambda folder: cut(folder / "model.safetensors"),
    "a changed byte": lambda folder: change(folder / "model.safetensors"),
    "cut words": lambda folder: cut(folder / "segmenter.json"),
    "other words": lambda folder: (folder / "segmenter.json").write_text('{"format": 1}'),
    "a list": lambda folder: (folder / "segmenter.json").write_text("[]"),
    "no text": lambda folder: (folder / "segmenter.json").write_bytes(b"\xff\xfe\x00"),
    "another width": lambda folder: reword(folder, width=6),
    "no width": lambda folder: reword(folder, width="wide"),
    "a newer format": lambda folder: reword(folder, format=99),
    "classes without colours": lambda folder: reword(folder, classes={"name": "a", "names": ["b"]}),
}


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def change(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def reword(folder, **changes):
    told = json.loads((folder / "segmenter.json").read_text())
    (folder / "segmenter.json").write_text(json.dumps({**told, **changes}))


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_or_foreign_folder_is_refused_in_one_line(learnt, tmp_path, damage):
    learnt.save(tmp_path / "one")
    damage(tmp_path / "one")
    with pytest.raises(UserError, match=r"one.*unpaired|train the segmenter again") as error:
        TrainedSegmenter.load(tmp_path / "one")
    assert "\n" not in str(error.value)


def test_it_never_overwrites_what_is_there(learnt, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "letter").write_text("dear")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="not empty"):
        learnt.save(tmp_path / "taken")
    learnt.save(tmp_path / "empty")
    assert {p.name for p in (tmp_path / "taken").iterdir()} == {"letter"}
    assert {p.name for p in (tmp_path / "empty").iterdir()} == {
        "segmenter.json",
        "model.safetensors",
    }


def test_a_write_that_fails_leaves_nothing(learnt, tmp_path, monkeypatch):
    written = []

    def full(path, content):
        if written:
            raise OSError(28, "No space left on device")
        written.append(path.write_bytes(content))

    monkeypatch.setattr("unpaired.evaluation.segmenting.trained._write", full)
    with pytest.raises(UserError, match="no space left"):
        learnt.save(tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


def test_a_segmenter_of_other_classes_is_refused(learnt, tmp_path):
    learnt.save(tmp_path / "one")
    with pytest.raises(UserError, match="knows the classes three, not camvid"):
        load_segmenter(str(tmp_path / "one"), CLASSES["camvid"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 0}, "--steps"),
        ({"minutes": 0.0}, "--minutes"),
        ({"minutes": float("nan")}, "--minutes"),
        ({"width": 0}, "--width"),
    ],
)
def test_senseless_numbers_are_refused(changes, said):
    with pytest.raises(UserError, match=said):
        trained(**changes)


def test_fewer_than_two_pictures_or_no_class_at_all_are_refused():
    photos, maps = make_pairs(2, 0)
    with pytest.raises(UserError, match="2 or more"):
        train_segmenter(photos[:1], maps[:1], THREE, steps=1)
    with pytest.raises(UserError, match="no pixel"):
        train_segmenter(photos, np.full_like(maps, IGNORED), THREE, steps=1)
    with pytest.raises(ValueError, match="no pairs"):
        train_segmenter(photos, maps[:, :16], THREE, steps=1)


def test_rare_classes_weigh_more_and_the_mean_pixel_weighs_one():
    maps = np.array([[[0] * 90 + [1] * 9 + [2] + [IGNORED] * 50]], np.uint8)
    weight = class_weights(maps, 4).numpy()
    assert weight[0] < weight[1] < weight[2]
    assert weight[3] == 0
    assert (weight[:3] * [0.9, 0.09, 0.01]).sum() == pytest.approx(1)


def test_the_rate_rises_then_falls_to_nearly_nothing():
    rates = [one_cycle(i / 100) for i in range(101)]
    peak = int(np.argmax(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) == pytest.approx(1)
    assert rates[0] < 0.1
    assert rates[-1] < 0.01


def test_every_picture_is_taken_once_before_any_is_taken_again():
    count = 3 * BATCH - 5
    taken = np.concatenate([_chosen(count, step, seed=1) for step in range(6)])
    for turn in range(len(taken) // count):
        assert sorted(taken[turn * count : (turn + 1) * count]) == list(range(count))
    assert taken[:count].tolist() != taken[count : 2 * count].tolist()


def test_a_card_tells_the_names_of_its_fields_and_no_other():
    tree = json.loads(json.dumps(dataclasses.asdict(trained().card)))
    assert SegmenterCard.parse(tree).classes == THREE
    with pytest.raises(TypeError):
        SegmenterCard.parse({**tree, "colour": "red"})
