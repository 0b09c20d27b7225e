"""Which runs the tables need, which of them are there, and what becomes of those that fail."""

import dataclasses
from pathlib import Path

import pytest

from tests.methods.tiny import tiny_settings
from tests.training.runs import tiny_config, write_dataset
from unpaired.data.images import ImageConfig
from unpaired.errors import UserError
from unpaired.reproduction import training
from unpaired.reproduction.training import Training, complete, plan, swapped, train_missing
from unpaired.training.card import read_card
from unpaired.training.config import TrainConfig
from unpaired.training.finding import find_checkpoint
from unpaired.training.loop import DivergedError
from unpaired.training.run import train

OUT = Path("out")
TWO_WAYS = TrainConfig(settings=tiny_settings("cyclegan"), method="cyclegan", data="d", seed=5)
ONE_WAY = TrainConfig(settings=tiny_settings("pix2pix"), method="pix2pix", data="d", seed=5)
BOTH = {"cyclegan": TWO_WAYS, "pix2pix": ONE_WAY}


def planned(shown, seeds=1, labels_in_x=True, configs=BOTH):
    """(folder, swapped, seed) of every run."""
    found = plan(shown, configs, OUT, seeds, labels_in_x)
    assert all(one.folder.parent == OUT / "runs" for one in found)
    return [(one.folder.name, one.config.swap, one.config.seed) for one in found]


def test_a_method_of_two_directions_is_trained_once_and_of_one_for_each():
    shown = {"2": ["cyclegan", "pix2pix"], "3": ["cyclegan", "pix2pix"]}
    there_and_back = [("pix2pix", False, 5), ("pix2pix-back", True, 5)]
    assert planned(shown) == [("cyclegan", False, 5), *there_and_back]
    assert planned(shown, labels_in_x=False) == planned(shown)


@pytest.mark.parametrize(
    ("table", "labels_in_x", "swap"),
    [("2", True, False), ("2", False, True), ("3", True, True), ("3", False, False)],
)
def test_one_direction_is_trained_so_that_it_fits_the_table(table, labels_in_x, swap):
    found = planned({table: ["pix2pix"]}, labels_in_x=labels_in_x)
    assert found == [("pix2pix-back" if swap else "pix2pix", swap, 5)]
    assert planned({table: ["cyclegan"]}, labels_in_x=labels_in_x) == [("cyclegan", False, 5)]


def test_who_stands_in_no_table_is_not_trained():
    assert planned({"2": ["pix2pix"]}) == [("pix2pix", False, 5)]
    assert planned({"2": []}) == []


def test_one_seed_is_finished_before_the_next_begins():
    assert planned({"2": ["cyclegan", "pix2pix"], "3": ["pix2pix"]}, seeds=2) == [
        ("cyclegan-seed5", False, 5),
        ("pix2pix-seed5", False, 5),
        ("pix2pix-back-seed5", True, 5),
        ("cyclegan-seed6", False, 6),
        ("pix2pix-seed6", False, 6),
        ("pix2pix-back-seed6", True, 6),
    ]


def test_exchanging_the_domains_exchanges_their_settings_and_twice_changes_nothing():
    images = ImageConfig(mode="crop", load=40, load_y=60, interpolation_y="nearest", flip_y=False)
    config = dataclasses.replace(ONE_WAY, images=images, channels_x=1, channels_y=4)
    other = swapped(config)
    assert other.swap
    assert (other.channels_x, other.channels_y) == (4, 1)
    assert other.images.of("x") == images.of("y")
    assert other.images.of("y") == images.of("x")
    assert images.of("x") != images.of("y")
    again = swapped(other)
    assert (again.swap, again.channels_x, again.channels_y) == (False, 1, 4)
    assert [again.images.of(d) for d in "xy"] == [images.of(d) for d in "xy"]
    assert dataclasses.replace(other, swap=False, images=images, channels_x=1, channels_y=4) == (
        config  # and nothing else
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    config = tiny_config(write_dataset(folder / "data"), steps=4, checkpoint_every=2)
    return Training("cyclegan", config, train(config, folder / "runs" / "cyclegan", quiet=True))


def longer(trained, **length):
    lengths = {"steps": None, "epochs": None, "minutes": None, **length}
    return dataclasses.replace(trained, config=dataclasses.replace(trained.config, **lengths))


def test_a_run_is_complete_when_it_is_as_long_as_asked_for(trained, tmp_path):
    assert complete(trained)
    assert complete(longer(trained, steps=3))
    assert not complete(longer(trained, steps=5))
    epochs = read_card(find_checkpoint(trained.folder)).epoch
    assert not complete(longer(trained, epochs=epochs + 1))
    assert complete(longer(trained, minutes=1e-9))
    assert not complete(longer(trained, minutes=60))
    assert not complete(dataclasses.replace(trained, folder=tmp_path / "nothing"))


def test_another_run_in_the_folder_is_refused_with_what_differs(trained):
    other = dataclasses.replace(trained, config=dataclasses.replace(trained.config, seed=4))
    with pytest.raises(UserError, match=r'cyclegan" holds a run .* another --seed; .* --out'):
        complete(other)


def test_what_is_missing_is_trained_and_what_diverges_is_told_while_the_others_go_on(
    trained, tmp_path, monkeypatch
):
    asked = []

    def pretend(config, folder, **options):
        asked.append((folder.name, options))
        if folder.name == "bad":
            raise DivergedError("8 steps in a row were not finite")

    monkeypatch.setattr(training, "train", pretend)
    bad, good = (dataclasses.replace(trained, folder=tmp_path / name) for name in ("bad", "good"))
    said = []
    failed = train_missing([trained, bad, good], said.append, quiet=True)
    assert failed == {tmp_path / "bad": "8 steps in a row were not finite"}
    assert asked == [(name, {"resume": True, "quiet": True}) for name in ("bad", "good")]
    assert said == [
        "[2/3] training bad",
        "warning: bad: 8 steps in a row were not finite",
        "[3/3] training good",
    ]


def test_what_was_interrupted_goes_on_where_it_stopped(trained):
    more = longer(trained, steps=6)
    assert train_missing([more], lambda _: None, quiet=True) == {}
    assert read_card(find_checkpoint(trained.folder)).step == 6
    assert complete(more)
