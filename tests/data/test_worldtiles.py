"""The embedded data: what the data card promises."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from unpaired.data.catalog import NAMED_SETS, VIEWS, worldtiles, worldtiles_index, worldtiles_view
from unpaired.errors import UserError

SPLITS = ("train_x", "train_y", "test")
PAIRS = [f"{x}-{y}" for x, y in permutations(VIEWS, 2)]


def covered(split: str) -> np.ndarray:
    """How many tiles of the split cover each pixel of the globe's grid."""
    grid = worldtiles_index()["grid"]
    side = worldtiles_index()["tile"]
    count = np.zeros((grid["height"], grid["width"]), dtype=np.int32)
    for place in worldtiles_index()["splits"][split]:
        window = count[place["row"] : place["row"] + side, place["column"] : place["column"] + side]
        assert window.shape == (side, side), "a tile hangs over the edge of the globe"
        window += 1
    return count


def hashes(view: str, split: str) -> set[bytes]:
    return {tile.tobytes() for tile in worldtiles_view(view, split)}


def test_no_two_tiles_share_a_place_on_the_globe():
    together = sum(covered(split) for split in SPLITS)
    assert together.max() == 1


def test_rectangles_in_degrees_agree_with_the_pixel_grid():
    index = worldtiles_index()
    scale = index["grid"]["width"] / 360
    for places in index["splits"].values():
        for place in places:
            assert place["west"] == pytest.approx(place["column"] / scale - 180, abs=1e-3)
            assert place["east"] - place["west"] == pytest.approx(index["tile"] / scale, abs=1e-3)
            assert place["north"] == pytest.approx(90 - place["row"] / scale, abs=1e-3)
            assert place["north"] - place["south"] == pytest.approx(index["tile"] / scale, abs=1e-3)


@pytest.mark.parametrize("view", VIEWS)
def test_no_picture_is_in_two_splits(view):
    for one, other in combinations(SPLITS, 2):
        assert not hashes(view, one) & hashes(view, other)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("split", SPLITS)
def test_every_picture_is_its_own_and_has_something_in_it(view, split):
    tiles = worldtiles_view(view, split)
    assert len({tile.tobytes() for tile in tiles}) == len(tiles)
    assert tiles.reshape(len(tiles), -1, 3).std(axis=1).max(axis=1).min() > 1


@pytest.mark.parametrize("pair", PAIRS)
def test_a_pair_gives_the_counts_the_index_states(pair):
    named = worldtiles(pair)
    counts = worldtiles_index()["counts"]
    for split, tiles in (("train_x", named.train_x), ("train_y", named.train_y)):
        assert tiles.shape == (counts[split], 64, 64, 3)
        assert tiles.dtype == np.uint8
        assert len(named.names[split]) == counts[split]
    assert named.test_x.shape == named.test_y.shape == (counts["test"], 64, 64, 3)
    assert len(set(named.names["test"])) == counts["test"]
    assert min(counts["train_x"], counts["train_y"]) >= 300
    assert counts["test"] >= 190


def test_the_reverse_pair_is_the_other_view_of_the_same_test_places():
    forth, back = worldtiles("terrain-aerial"), worldtiles("aerial-terrain")
    assert np.array_equal(forth.test_x, back.test_y)
    assert np.array_equal(forth.test_y, back.test_x)
    assert forth.names == back.names


def test_labels_show_the_colours_of_the_classes_and_no_other():
    weights = np.array([65536, 256, 1])  # a colour as one number, for speed
    palette = {int(entry["colour"] @ weights) for entry in worldtiles_index()["classes"]}
    for split in SPLITS:
        seen = np.unique(worldtiles_view("labels", split) @ weights)
        assert set(seen.tolist()) <= palette


def test_water_in_labels_is_blue_from_the_air():
    labels, aerial = worldtiles_view("labels", "test"), worldtiles_view("aerial", "test")
    water = (labels == worldtiles_index()["classes"][0]["colour"]).all(axis=-1)
    red, _, blue = aerial[water].mean(axis=0)
    assert blue > red + 40
    red, _, blue = aerial[~water].mean(axis=0)
    assert blue < red


@pytest.mark.parametrize("pair", ["", "map", "map-map", "map-moon", "map-aerial-labels"])
def test_a_pair_that_is_not_one_is_named_with_the_choices(pair):
    with pytest.raises(UserError, match="map-aerial"):
        worldtiles(pair)


def test_worldtiles_is_in_the_catalog():
    assert NAMED_SETS["worldtiles"]("labels-aerial", False).test_x.shape[0] > 0
