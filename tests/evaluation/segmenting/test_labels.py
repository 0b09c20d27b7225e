import io
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import labels as benchmark_labels
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from tests.evaluation.segmenting.pairs import JSON, PHOTO_COLOURS, THREE, make_pairs
from unpaired.data.catalog import worldtiles, worldtiles_view
from unpaired.data.decode import read_picture
from unpaired.errors import UserError
from unpaired.evaluation.segmenting.classes import CLASSES, IGNORED, Classes, read_classes
from unpaired.evaluation.segmenting.labels import ColourLookup, exact, majority, nearest, render
from unpaired.evaluation.segmenting.scores import segmentation_estimates

CAMVID = Path(os.environ.get("UNPAIRED_TEST_DATA", "nowhere")) / "camvid"
needs_camvid = pytest.mark.skipif(
    not CAMVID.is_dir(), reason="UNPAIRED_TEST_DATA names no folder with camvid"
)
STREET = CLASSES["camvid"]


def through_jpeg(picture: np.ndarray, quality: int, subsampling: int) -> np.ndarray:
    """subsampling: 0 keeps all colour, 2 halves it both ways, as most JPEGs do."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file))


def street(side: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """A class map (1, side, side) with large regions and thin things, and its label image."""
    maps = np.full((1, side, side), 3, np.uint8)
    maps[:, : side // 2] = 0
    maps[:, side // 6 : side // 2, side // 3 :] = 1
    maps[:, side // 3 : side // 2, : side // 5] = 5
    maps[:, side // 2 + 5 : side // 2 + 20, 20:50] = 8
    maps[:, side // 4 : side // 2, 28:30] = 2
    maps[:, -10:] = IGNORED
    return maps, render(maps, STREET)


# -- classes -------------------------------------------------------------------------------------


def test_cityscapes_has_the_benchmarks_classes_colours_and_void():
    ours = CLASSES["cityscapes"]
    theirs = sorted(
        (one for one in benchmark_labels if not one.ignoreInEval), key=lambda one: one.trainId
    )
    assert [one.trainId for one in theirs] == list(range(19))
    assert ours.names == tuple(one.name for one in theirs)
    assert ours.colours == tuple(one.color for one in theirs)
    void = {one.color for one in benchmark_labels if one.ignoreInEval}
    assert set(ours.ignored) == void - set(ours.colours)


def test_worldtiles_label_tiles_hold_all_its_classes_and_nothing_else():
    maps = exact(worldtiles_view("labels", "test"), CLASSES["worldtiles"], [""] * 195)
    assert np.unique(maps).tolist() == list(range(len(CLASSES["worldtiles"].names)))


def test_classes_are_read_by_name_or_from_a_file(tmp_path):
    file = tmp_path / "three.json"
    file.write_text(JSON, encoding="utf-8")
    assert read_classes(str(file)) == THREE
    assert read_classes("camvid") is STREET


def one_class(**changes: object) -> str:
    second = {"name": "b", "colour": [9, 9, 9]} | changes
    return json.dumps({"classes": [{"name": "a", "colour": [1, 2, 3]}, second]})


WRONG_FILES = {
    "no JSON": "road = red",
    "another tree": '["road"]',
    "no classes": "{}",
    "no colour": '{"classes": [{"name": "a"}, {"name": "b"}]}',
    "two numbers": one_class(colour=[1, 2]),
    "a number above 255": one_class(colour=[1, 2, 256]),
    "half a number": one_class(colour=[1, 2, 3.5]),
    "a colour in words": one_class(colour="red"),
    "one colour twice": one_class(colour=[1, 2, 3]),
    "one class": '{"classes": [{"name": "a", "colour": [1, 2, 3]}]}',
    "bytes": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("text", WRONG_FILES.values(), ids=WRONG_FILES.keys())
def test_a_file_that_holds_no_classes_is_named_in_one_line(text, tmp_path):
    file = tmp_path / "mine.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match="mine") as error:
        read_classes(str(file))
    assert "\n" not in str(error.value)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(UserError, match=r'no classes "cityscape".*cityscapes.*camvid'):
        read_classes("cityscape")


def test_an_ignored_colour_cannot_be_a_class_too():
    with pytest.raises(UserError, match=r"\[0, 0, 0\] stands there twice"):
        Classes("two", ("a", "b"), ((0, 0, 0), (9, 9, 9)), ((0, 0, 0),))


# -- true label images ---------------------------------------------------------------------------

drawn_maps = arrays(
    np.uint8,
    st.tuples(st.integers(1, 2), st.integers(1, 6), st.integers(1, 6)),
    elements=st.sampled_from([*range(11), IGNORED]),
)


@given(drawn_maps)
def test_what_was_drawn_is_read_back(maps):
    np.testing.assert_array_equal(exact(render(maps, STREET), STREET, ["a", "b"]), maps)


@given(drawn_maps, st.integers(0, 2**32 - 1))
def test_noise_within_the_tolerance_changes_no_class(maps, seed):
    noise = np.random.default_rng(seed).integers(-13, 14, (*maps.shape, 3))  # 13 sqrt(3) < 24
    noisy = np.clip(render(maps, STREET).astype(int) + noise, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(exact(noisy, STREET, ["a", "b"]), maps)


@pytest.mark.parametrize("quality", [100, 95, 90, 75])
def test_jpeg_that_keeps_all_colour_costs_no_class(quality):
    maps, drawn = street()
    read = exact(through_jpeg(drawn[0], quality, 0)[None], STREET, ["a"])
    assert (read == maps).mean() > 0.97
    assert np.isin(read[read != maps], [IGNORED]).all()


@pytest.mark.parametrize("quality", [95, 75])
def test_edges_that_jpeg_or_resizing_blurred_count_for_nobody(quality):
    maps, drawn = street()
    for blurred in (
        through_jpeg(drawn[0], quality, 2),
        np.asarray(Image.fromarray(drawn[0]).resize((48, 48), Image.Resampling.BICUBIC)),
    ):
        read = exact(blurred[None], STREET, ["a"])
        true = maps[:, :: 96 // len(blurred), :: 96 // len(blurred)]
        assert 0.8 < (read == true).mean() < 1
        assert ((read != true) & (read != IGNORED)).mean() < 0.015  # a mixture may hit a class


def test_an_unknown_colour_is_refused_with_its_file_and_share():
    _, drawn = street()
    pictures = np.concatenate([drawn, drawn])
    pictures[1, 50:70, 50:70] = (1, 254, 7)
    with pytest.raises(UserError, match=r'"b\.png": 4% .* of camvid .*\[1, 254, 7\]') as error:
        exact(pictures, STREET, ["a.png", "b.png"])
    assert "\n" not in str(error.value)


def test_an_unknown_colour_in_thin_lines_is_refused_too():
    _, drawn = street()
    drawn[:, :, 40] = (1, 254, 7)
    drawn[:, :48, 70] = (1, 254, 7)
    with pytest.raises(UserError, match="no class"):
        exact(drawn, STREET, ["a"])


def test_a_few_stray_pixels_are_forgiven_and_ignored():
    maps, drawn = street()
    drawn[:, 10, :80] = (1, 254, 7)  # of 9216
    read = exact(drawn, STREET, ["a"])
    maps[:, 10, :80] = IGNORED
    np.testing.assert_array_equal(read, maps)


def strange(shape: tuple[int, ...]) -> np.ndarray:
    """Pixels (..., 3) far from every class of the street, hardly two of one colour."""
    return np.random.default_rng(0).integers((0, 200, 200), (60, 256, 256), (*shape, 3), np.uint8)


def test_a_piece_of_photo_in_a_label_image_is_refused():
    _, drawn = street()
    drawn[0, 50:70, 60:80] = strange((20, 20))
    with pytest.raises(UserError, match="4% of its pixels"):
        exact(drawn, STREET, ["a"])


@pytest.mark.parametrize(
    "border", [np.s_[:, :2], np.s_[:, -2:], np.s_[:2], np.s_[-2:]], ids=["L", "R", "top", "low"]
)
def test_a_blur_is_forgiven_beside_a_known_colour_on_either_side(border):
    maps, drawn = street()
    drawn[0][border] = strange(drawn[0][border].shape[:2])
    maps[0][border] = IGNORED
    np.testing.assert_array_equal(exact(drawn, STREET, ["a"]), maps)


def test_a_label_image_that_is_mostly_blurred_is_refused():
    _, drawn = street()
    blurred = strange(drawn.shape[:3])
    blurred[:, ::3, ::3] = drawn[:, ::3, ::3]
    with pytest.raises(UserError, match=r"89% .* blurred"):
        exact(blurred, STREET, ["a"])


@pytest.mark.parametrize("known", CLASSES)
def test_photos_are_no_label_images(known):
    photos = worldtiles_view("aerial", "test")[:20]
    for i in range(len(photos)):
        with pytest.raises(UserError):
            exact(photos[i : i + 1], CLASSES[known], [f"{i}"])


def test_254_classes_and_ignored_colours_are_told_apart():
    names = tuple(f"c{i}" for i in range(254))
    colours = tuple((i, 255 - i, 40) for i in range(254))
    ignored = tuple((i, i, 250) for i in range(10, 20))
    many = Classes("many", names, colours, ignored)
    pictures = np.array([[*colours, *ignored]], np.uint8)[None]
    read = exact(pictures, many, ["a"])
    np.testing.assert_array_equal(read[0, 0], [*range(254), *[IGNORED] * 10])


@needs_camvid
def test_camvids_palette_files_hold_their_indices():
    files = sorted((CAMVID / "testA").glob("*.png"))[:40]
    pictures = np.stack([read_picture(file).pixels for file in files])
    read = exact(pictures, STREET, [file.name for file in files])
    indices = np.stack([np.asarray(Image.open(file)) for file in files])
    np.testing.assert_array_equal(read, np.where(indices == 11, IGNORED, indices))
    assert set(np.unique(indices)) == set(range(12))


@needs_camvid
@pytest.mark.parametrize("dropped", range(11), ids=STREET.names)
def test_camvid_without_one_class_is_refused_wherever_the_class_is(dropped):
    kept = [i for i in range(11) if i != dropped]
    names, colours = ([of[i] for i in kept] for of in (STREET.names, STREET.colours))
    fewer = Classes("fewer", tuple(names), tuple(colours), STREET.ignored)
    refused = 0
    for file in sorted((CAMVID / "testA").glob("*.png"))[::6]:
        share = (np.asarray(Image.open(file)) == dropped).mean()
        try:
            exact(read_picture(file).pixels[None], fewer, [file.name])
        except UserError:
            refused += 1
            assert share > 0.01
        else:
            assert share <= 0.01
    assert refused


@needs_camvid
def test_camvid_through_an_ordinary_jpeg_loses_edges_only():
    wrong, lost = [], []
    for file in sorted((CAMVID / "testA").glob("*.png"))[:40]:
        pixels = read_picture(file).pixels
        true = exact(pixels[None], STREET, [file.name])
        read = exact(through_jpeg(pixels, 90, 2)[None], STREET, [file.name])
        wrong.append(((read != true) & (read != IGNORED)).mean())
        lost.append(((read != true) & (read == IGNORED)).mean())
    assert np.mean(wrong) < 0.001
    assert np.mean(lost) < 0.12


# -- generated label images ----------------------------------------------------------------------


@given(arrays(np.uint8, (2, 3, 4, 3)), st.sampled_from(sorted(CLASSES)))
def test_the_nearest_colour_is_nearest(pictures, known):
    colours = CLASSES[known].palette.astype(int)
    distances = ((pictures[..., None, :].astype(int) - colours) ** 2).sum(-1)
    np.testing.assert_array_equal(nearest(pictures, CLASSES[known]), distances.argmin(-1))


def test_of_two_equally_near_colours_the_first_is_taken():
    two = Classes("two", ("a", "b"), ((10, 0, 0), (20, 0, 0)))
    other = Classes("two", ("b", "a"), ((20, 0, 0), (10, 0, 0)))
    between = np.array([15, 0, 0], np.uint8).reshape(1, 1, 1, 3)
    assert nearest(between, two).item() == nearest(between, other).item() == 0


def test_any_picture_gets_classes_of_its_own_shape():
    pictures = worldtiles_view("aerial", "test")[:3, :20, :30]
    maps = nearest(pictures, CLASSES["cityscapes"])
    assert maps.shape == (3, 20, 30)
    assert maps.dtype == np.uint8
    assert maps.max() < 19


def test_many_pixels_are_read_as_few_are():
    pictures = np.random.default_rng(0).integers(0, 256, (5, 128, 128, 3), dtype=np.uint8)
    together = nearest(pictures, STREET)
    for one, alone in zip(together, pictures):
        np.testing.assert_array_equal(one, nearest(alone[None], STREET)[0])


# -- floors --------------------------------------------------------------------------------------


def test_the_lookup_knows_the_mean_colour_of_each_class():
    photos = np.array([[[[10, 20, 30], [30, 40, 50]], [[200, 0, 0], [9, 9, 9]]]], np.uint8)
    maps = np.array([[[0, 0], [2, IGNORED]]], np.uint8)
    lookup = ColourLookup.fit(photos, maps, THREE)
    np.testing.assert_array_equal(lookup.means[[0, 2]], [[20, 30, 40], [200, 0, 0]])
    assert np.isnan(lookup.means[1]).all()
    drawn = lookup.photo_of(np.array([[[0, 1, 2, IGNORED]]], np.uint8))
    np.testing.assert_array_equal(drawn[0, 0], [[20, 30, 40], [128] * 3, [200, 0, 0], [128] * 3])


def test_the_lookup_never_names_a_class_it_has_not_seen():
    photos = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    lookup = ColourLookup(np.array([[np.nan] * 3, [0, 0, 200], [240, 220, 120]]))
    assert set(np.unique(lookup.classes_of(photos))) == {1, 2}


def test_the_lookup_reads_photos_whose_colours_tell_the_classes():
    (photos, maps), (others, truth) = make_pairs(6, 0), make_pairs(3, 1)
    lookup = ColourLookup.fit(photos, maps, THREE)
    np.testing.assert_allclose(lookup.means, PHOTO_COLOURS, atol=1)
    assert (lookup.classes_of(others) == truth).mean() > 0.99
    np.testing.assert_array_equal(lookup.classes_of(lookup.photo_of(truth)), truth)


def test_the_floors_of_worldtiles_lie_in_their_order():
    known = CLASSES["worldtiles"]
    tiles = worldtiles("labels-aerial", paired=True)
    learnt = exact(tiles.train_x, known, tiles.names["train_x"])
    truth = exact(tiles.test_x, known, tiles.names["test"])
    commonest = int(np.bincount(learnt.ravel()).argmax())
    lookup = ColourLookup.fit(tiles.train_y, learnt, known)
    iou = {
        name: segmentation_estimates(truth, maps, len(known.names))["class_iou"]
        for name, maps in {
            "majority": majority(truth, commonest),
            "lookup": lookup.classes_of(tiles.test_y),
            "itself": nearest(tiles.test_x, known),
        }.items()
    }
    assert iou["majority"].high < iou["lookup"].low
    assert iou["lookup"].high < iou["itself"].value == 1


def test_the_majority_is_one_class_everywhere():
    maps = majority(np.array([[[0, IGNORED]]], np.uint8), 2)
    np.testing.assert_array_equal(maps, [[[2, 2]]])
    assert maps.dtype == np.uint8


def test_classes_have_another_key_if_a_name_a_colour_or_what_is_ignored_is_another():
    others = [
        replace(THREE, names=("sea", "wood", "dune")),
        replace(THREE, colours=((0, 0, 201), *THREE.colours[1:])),
        replace(THREE, ignored=()),
    ]
    assert len({one.key for one in (THREE, *others)}) == 4
    assert replace(THREE, name="a copy").key == THREE.key
