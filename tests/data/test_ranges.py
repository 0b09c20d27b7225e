"""Values of other types and ranges: what stands for -1 and 1, and the way back."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from unpaired.data.datasets import open_dataset
from unpaired.data.decode import UnreadableImage, read_picture
from unpaired.data.fingerprint import fingerprint
from unpaired.data.images import ImageConfig
from unpaired.data.picture import Picture
from unpaired.data.ranges import from_levels, in_levels, in_units, to_levels
from unpaired.data.units import TYPES, WRITTEN, Units, units_of
from unpaired.errors import UserError


@st.composite
def spans(draw: st.DrawFn, dtype: str) -> tuple[float, float]:
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        low = draw(st.integers(limits.min, limits.max - 1))
        return low, draw(st.integers(low + 1, limits.max))
    low = draw(st.floats(-1000, 1000, width=16))
    return low, low + draw(st.floats(0.5, 2000, width=16))


@pytest.mark.parametrize("dtype", WRITTEN)
@given(data=st.data())
def test_values_come_back_within_half_a_level_and_beyond_is_clipped(
    dtype: str, data: st.DataObject
) -> None:
    low, high = span = data.draw(spans(dtype))
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        elements = st.integers(limits.min, limits.max)
    else:
        elements = st.floats(-4000, 4000, width=16)
    values = np.array(data.draw(st.lists(elements, min_size=1, max_size=20)), dtype)[:, None, None]
    levels = to_levels(values, span)
    back = from_levels(levels, Units(low, high, dtype))
    assert levels.dtype == np.uint16
    assert back.dtype == kind
    wanted = np.clip(values.astype(np.float64), low, high)
    step = (high - low) / 65535
    rounding = 0.5 if kind.kind in "iu" else np.spacing(np.abs(wanted).max().astype(dtype))
    allowed = step / 2 + (0 if step < 1 and kind.kind in "iu" else float(rounding)) + 1e-9 * step
    assert np.abs(back.astype(np.float64) - wanted).max() <= allowed
    if kind.kind in "iu" and high - low <= 65535:
        np.testing.assert_array_equal(back, wanted)


@given(st.data())
def test_order_is_kept_and_the_ends_are_met(data: st.DataObject) -> None:
    low, high = data.draw(spans("float32"))
    values = np.sort(np.array(data.draw(st.lists(st.floats(-3000, 3000), min_size=2, max_size=9))))
    levels = to_levels(values[:, None, None], (low, high)).astype(int)
    assert (np.diff(levels, axis=0) >= 0).all()
    ends = np.array([low, high])[:, None, None]
    assert to_levels(ends, (low, high)).ravel().tolist() == [0, 65535]
    units = Units(low, high, "float64")
    np.testing.assert_array_equal(from_levels(to_levels(ends, (low, high)), units), ends)


def test_known_answers() -> None:
    hounsfield = np.array([-2000, -1000, 0, 1000, 3000], np.int16)[:, None, None]
    assert to_levels(hounsfield, (-1000, 1000)).ravel().tolist() == [0, 0, 32768, 65535, 65535]
    twelve = np.array([0, 4095], np.uint16)[:, None, None]
    assert to_levels(twelve, (0, 4095)).ravel().tolist() == [0, 65535]


@pytest.mark.parametrize("dtype", WRITTEN)
def test_alpha_keeps_the_range_of_its_type(dtype: str) -> None:
    most = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    alpha = np.array([[0, most]], dtype)
    picture = Picture(np.zeros((1, 2, 1), dtype), alpha)
    levels = in_levels(picture, (0, 100))
    assert levels.alpha is not None
    assert levels.alpha.tolist() == [[0, 65535]]
    back = in_units(Picture(levels.pixels, levels.alpha, Units(0, 100, dtype)))
    np.testing.assert_array_equal(back.alpha, alpha)
    np.testing.assert_array_equal(back.pixels, picture.pixels)


@pytest.mark.parametrize("dtype", TYPES)
def test_tiffs_of_every_type_are_read_with_a_range(tmp_path: Path, dtype: str) -> None:
    values = np.arange(12).reshape(3, 4).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values)
    picture = read_picture(tmp_path / "a.tif", span=(1, 11))
    expected = np.rint(np.clip(np.arange(12) - 1, 0, 10) * 6553.5).reshape(3, 4, 1)
    np.testing.assert_array_equal(picture.pixels, expected)
    if dtype not in ("uint8", "uint16"):
        with pytest.raises(UnreadableImage, match=f"{dtype} pixels have no known range"):
            read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_and_named(tmp_path: Path, value: float) -> None:
    values = np.zeros((4, 4), np.float32)
    values[2, 1] = value
    tifffile.imwrite(tmp_path / "a.tif", values)
    with pytest.raises(UnreadableImage, match=r"a\.tif: it holds nan or inf"):
        read_picture(tmp_path / "a.tif", span=(0, 1))


def test_a_range_must_fit_what_the_files_can_hold() -> None:
    assert units_of((0, 255), ["uint8"], "y") is None
    assert units_of(None, ["uint8"], "y") is None
    assert units_of((0, 4095), ["uint16", "uint8"], "x") == Units(0, 4095, "uint16")
    assert units_of((0, 1), ["float32", "int16"], "x") == Units(0, 1, "float32")
    assert units_of((0, 1), ["float16"], "x") == Units(0, 1, "float32")
    assert units_of((-9, 9), ["int16", "uint16"], "x") == Units(-9, 9, "int32")
    with pytest.raises(UserError, match=r"--images\.range-y is 0 to 4095.*uint8, 0 to 255.*for Y"):
        units_of((0, 4095), ["uint8"], "y")
    with pytest.raises(UserError, match="float32"):  # they would come back as inf
        units_of((-1e300, 1e300), ["float32"], "x")


@pytest.mark.parametrize("span", [(1.0, 1.0), (2.0, 1.0), (0.0, float("inf")), (float("nan"), 1.0)])
def test_a_range_is_two_numbers_of_which_the_first_is_lower(span: tuple[float, float]) -> None:
    with pytest.raises(UserError, match=r"--images\.range-y is .*lower one first"):
        ImageConfig(range_y=span)


def test_the_range_of_x_counts_for_y_unless_it_has_its_own() -> None:
    assert ImageConfig(range=(0, 9)).of("y").range == (0, 9)
    assert ImageConfig(range=(0, 9), range_y=(1, 2)).of("y").range == (1, 2)
    assert ImageConfig(range_y=(1, 2)).of("x").range is None


def test_a_domain_knows_its_units_whatever_is_swapped(tmp_path: Path) -> None:
    for name, dtype in (("trainA", "int16"), ("trainB", "float32")):
        (tmp_path / name).mkdir()
        for i in range(3):
            tifffile.imwrite(tmp_path / name / f"{i}.tif", np.full((8, 8), i, dtype))
    data = open_dataset(str(tmp_path), range_x=(-4, 4), range_y=(0, 2))
    assert data.train_x.units == Units(-4, 4, "int16")
    assert data.train_x.dtype == "uint16"
    assert data.train_y.subset([2, 1]).units == Units(0, 2, "float32")
    assert data.train_y.subset([2, 1]).read(0).max() == 65535
    swapped = open_dataset(str(tmp_path), range_x=(0, 2), range_y=(-4, 4), swap=True)
    assert swapped.train_x.units == Units(0, 2, "float32")
    others = open_dataset(str(tmp_path), range_x=(-4, 5), range_y=(0, 2))
    assert fingerprint(others) != fingerprint(data)
    with pytest.raises(UserError, match=r"trainA.*no known range\); give --images\.range LOW HIGH"):
        open_dataset(str(tmp_path))
    with pytest.raises(UserError, match=r"trainB.*give --images\.range-y LOW HIGH"):
        open_dataset(str(tmp_path), range_x=(-4, 4))
