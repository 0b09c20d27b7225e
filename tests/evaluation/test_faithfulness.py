import numpy as np
import pytest

from unpaired.data.catalog import worldtiles
from unpaired.data.decode import Pixels
from unpaired.evaluation.faithfulness import (
    cycle_error_map,
    faithfulness,
    heat,
    outlined,
    structure_change_map,
)

PLACE = (slice(26, 38), slice(20, 32))  # where objects are put: rows, columns


@pytest.fixture(scope="module")
def photos() -> Pixels:
    """Twelve real aerial pictures."""
    return worldtiles("labels-aerial").test_y[:60:5]


@pytest.fixture(scope="module")
def labels() -> Pixels:
    """The twelve label images of the same places."""
    return worldtiles("labels-aerial").test_x[:60:5]


def with_object(pictures: Pixels, rows: slice = PLACE[0], columns: slice = PLACE[1]) -> Pixels:
    """A plain square of a colour that differs from what was there, well inside the picture."""
    changed = pictures.copy()
    before = changed[:, rows, columns].mean(axis=(1, 2), keepdims=True)
    changed[:, rows, columns] = np.where(before < 128, before + 90, before - 90)
    return changed


def in_and_out(maps: np.ndarray) -> tuple[float, float]:
    """The mean of maps inside PLACE, and farther than eight pixels from it."""
    far = np.ones(maps.shape[1:], bool)
    far[PLACE[0].start - 8 : PLACE[0].stop + 8, PLACE[1].start - 8 : PLACE[1].stop + 8] = False
    return float(maps[:, PLACE[0], PLACE[1]].mean()), float(maps[:, far].mean())


def test_the_same_picture_has_changed_nowhere(photos: Pixels) -> None:
    assert structure_change_map(photos, photos).max() < 1e-9


@pytest.mark.parametrize(
    "recoloured",
    [
        lambda p: 255 - p,
        lambda p: p[..., [1, 2, 0]],
        lambda p: (p * 0.5 + 60).astype(np.uint8),
        lambda p: (255 * (p / 255) ** 0.5).astype(np.uint8),
        lambda p: p.mean(-1, keepdims=True).astype(np.uint8),
    ],
    ids=["negative", "channels swapped", "half the contrast", "gamma", "grey"],
)
def test_recolouring_alone_does_not_light_up(recoloured, photos: Pixels, labels: Pixels) -> None:
    for pictures in (photos, labels):
        same = structure_change_map(pictures, recoloured(pictures))
        added = structure_change_map(pictures, recoloured(with_object(pictures)))
        assert same.mean() < 0.1
        assert in_and_out(added)[0] > 0.6 > 4 * in_and_out(same)[0]


def test_an_inverted_picture_has_changed_nowhere(photos: Pixels) -> None:
    assert structure_change_map(photos, 255 - photos).max() < 1e-9


def test_an_added_object_lights_up_where_it_is(photos: Pixels) -> None:
    inside, outside = in_and_out(structure_change_map(photos, 255 - with_object(photos)))
    assert inside > 0.7
    assert outside < 0.1


def test_a_removed_object_lights_up_where_it_was(photos: Pixels) -> None:
    inside, outside = in_and_out(structure_change_map(with_object(photos), photos))
    assert inside > 0.7
    assert outside < 0.1


def test_a_moved_object_lights_up_where_it_was_and_where_it_is() -> None:
    paper = np.full((1, 64, 64, 3), 90, np.uint8)
    before = with_object(paper, slice(8, 18), slice(8, 18))
    after = with_object(paper, slice(44, 54), slice(44, 54))
    change = structure_change_map(before, after)[0]
    assert change[6:20, 6:20].mean() > 0.6
    assert change[42:56, 42:56].mean() > 0.6
    assert change[20:40, 28:36].max() < 0.05


def test_edges_of_equal_brightness_count() -> None:
    """A red square on green of the same luminance is gone in grey; the map must see it go."""
    paper = np.zeros((1, 48, 48, 3), np.uint8)
    paper[...] = (0, 100, 0)
    paper[:, 16:32, 16:32] = (196, 0, 0)
    gone = np.full_like(paper, 59)
    assert structure_change_map(paper, gone)[0, 12:36, 12:36].mean() > 0.4


def test_an_edge_that_turned_is_another_edge() -> None:
    stripes = np.zeros((1, 48, 48, 1), np.uint8)
    stripes[:, (np.arange(48) // 6) % 2 == 0] = 200
    turned = stripes.transpose(0, 2, 1, 3)
    assert structure_change_map(stripes, turned)[0, 8:40, 8:40].mean() > 0.9


def test_noise_on_a_flat_picture_is_no_structure() -> None:
    rng = np.random.default_rng([0, 1])
    flat = np.full((4, 64, 64, 3), 120, np.uint8)
    slight, clear = (np.rint(flat + rng.normal(0, s, flat.shape)).astype(np.uint8) for s in (1, 2))
    assert structure_change_map(flat, flat).max() == 0
    assert structure_change_map(flat, slight).max() < 0.1
    assert structure_change_map(flat, clear).mean() < 0.15


def test_half_the_contrast_is_the_same_structure(photos: Pixels, labels: Pixels) -> None:
    for pictures in (photos, labels):
        halved = (pictures * 0.5 + 60).astype(np.uint8)
        assert structure_change_map(pictures, halved).mean() < 0.03


def test_pictures_may_differ_in_channels_and_type_and_be_oblong(photos: Pixels) -> None:
    oblong = photos[:2, :40]
    sixteen = (oblong.astype(np.uint16) * 257)[..., :1].repeat(5, axis=-1)
    change = structure_change_map(oblong, sixteen)
    eight = structure_change_map(oblong, oblong[..., :1])
    assert change.shape == (2, 40, 64)
    assert change == pytest.approx(eight, abs=1e-9)


def test_a_picture_is_judged_without_its_neighbours(photos: Pixels) -> None:
    other = photos[::-1]
    alone = structure_change_map(photos[3:4], other[3:4])
    assert structure_change_map(photos, other)[3] == pytest.approx(alone[0], abs=1e-12)


def test_cycle_error_is_in_grey_levels_and_stays_near_its_place() -> None:
    inputs = np.full((1, 64, 64, 3), 100, np.uint8)
    back = inputs.copy()
    back[:, 20:40, 20:40] += 30
    error = cycle_error_map(inputs, back)[0]
    assert error[30, 30] == pytest.approx(30)
    assert error[5, 5] == 0
    assert error.mean() == pytest.approx(30 * 20 * 20 / 64**2)
    sixteen = cycle_error_map(inputs.astype(np.uint16) * 257, back.astype(np.uint16) * 257)
    assert sixteen[0] == pytest.approx(error)


def test_pictures_that_do_not_belong_together_are_refused(photos: Pixels) -> None:
    with pytest.raises(ValueError, match="have no"):
        structure_change_map(photos, photos[:3])
    with pytest.raises(ValueError, match="come back"):
        cycle_error_map(photos, photos[..., :1])
    with pytest.raises(ValueError, match="come back"):
        cycle_error_map(photos, photos.astype(np.uint16))


def test_the_worst_place_holds_the_invention(photos: Pixels) -> None:
    found = faithfulness(photos, 255 - with_object(photos), None)
    assert found.cycle_map is None
    assert found.structure_change == pytest.approx(found.structure_map.mean(axis=(1, 2)))
    for top, left, bottom, right in found.boxes:
        assert (bottom - top) * (right - left) == pytest.approx(0.05 * 64 * 64, rel=0.2)
        assert top < PLACE[0].stop
        assert bottom > PLACE[0].start
        assert left < PLACE[1].stop
        assert right > PLACE[1].start


def test_the_worst_place_is_where_both_maps_are_large_together(photos: Pixels) -> None:
    back = photos.copy()
    back[:, 44:58, 44:58] ^= 128  # did not come back, though the structure is unchanged
    found = faithfulness(photos, 255 - photos, back)
    assert found.cycle_map == pytest.approx(cycle_error_map(photos, back))
    assert all(top > 38 and left > 38 for top, left, _, _ in found.boxes)


def test_no_pictures_give_no_maps() -> None:
    none = np.zeros((0, 32, 32, 3), np.uint8)
    found = faithfulness(none, none, none)
    assert found.structure_map.shape == (0, 32, 32)
    assert found.boxes == ()


def test_heat_grows_lighter_evenly_and_stops_at_its_top() -> None:
    steps = np.linspace(0, 1.5, 301)[None, None]
    colours = heat(steps, 1.0)[0, 0].astype(float)
    assert heat(steps, 1.0).dtype == np.uint8
    # CIE lightness of sRGB, by its definition
    linear = np.where(
        colours / 255 <= 0.04045, colours / 255 / 12.92, ((colours / 255 + 0.055) / 1.055) ** 2.4
    )
    y = linear @ (0.2126, 0.7152, 0.0722)
    lightness = np.where(y > 216 / 24389, 116 * np.cbrt(y) - 16, y * 24389 / 27)
    below = lightness[:201]
    assert below[0] < 1
    assert below[-1] > 95
    assert np.abs(below - np.linspace(below[0], below[-1], 201)).max() < 8
    assert (lightness[200:] == lightness[200]).all()


def test_an_outline_leaves_the_inside_and_the_original_alone(photos: Pixels) -> None:
    before = photos[0].copy()
    drawn = outlined(photos[0], (10, 20, 30, 40))
    assert (photos[0] == before).all()
    changed = (drawn != before).any(axis=2)
    assert changed.sum() == 4 * 19
    assert not changed[11:29, 21:39].any()
