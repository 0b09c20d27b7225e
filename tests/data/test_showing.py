"""What is shown of pictures that are not plain 8-bit grey or colour."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unpaired.data.showing import as_rgb, comparable, hues, likened, mixed, seen_as
from unpaired.data.units import Units


def test_grey_is_repeated_and_colour_stays() -> None:
    grey = np.array([[[[0], [65535]]]], np.uint16)
    np.testing.assert_array_equal(as_rgb(grey), [[[[0] * 3, [255] * 3]]])
    colour = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(as_rgb(colour), colour)


def test_three_channels_mix_to_themselves_and_two_to_red_and_cyan() -> None:
    np.testing.assert_array_equal(hues(3), np.eye(3))
    two = np.array([[[200, 0], [0, 100]]], np.uint8)
    np.testing.assert_array_equal(mixed(two), [[[200, 0, 0], [0, 100, 100]]])


@given(st.integers(2, 40), st.sampled_from([np.uint8, np.uint16]))
def test_all_channels_full_are_white_and_each_alone_is_seen(channels: int, dtype: type) -> None:
    top = np.iinfo(dtype).max
    full = np.full((2, 3, 3, channels), top, dtype)
    assert (mixed(full) == top).all()
    alone = np.eye(channels, dtype=dtype)[None] * top
    if channels <= 12:
        assert (as_rgb(alone)[0].max(axis=1) >= 20).all()
        assert len({tuple(c) for c in as_rgb(alone)[0].tolist()}) == channels


def test_stand_ins_are_used_only_where_channels_do_not_convert() -> None:
    five = np.zeros((1, 1, 1, 5), np.uint16)
    five[..., 0] = 1000
    assert likened(five, 1).tolist() == [[[[200]]]]
    assert likened(five, 2).tolist() == [[[[200, 200]]]]
    assert likened(five, 3).tolist() == mixed(five).tolist()
    grey = np.full((2, 1, 1, 1), 7, np.uint8)
    assert likened(grey, 3).tolist() == [[[[7, 7, 7]]]] * 2
    assert comparable(1, 3)
    assert not comparable(5, 3)


@pytest.mark.parametrize(("channels", "dtype"), [(1, "uint8"), (3, "uint8")])
def test_of_plain_pictures_nothing_is_said(channels: int, dtype: str) -> None:
    assert not seen_as(channels, dtype)
    assert "16 bits" in seen_as(channels, "uint16")
    assert "5 channels" in seen_as(5, dtype)


def test_of_a_domain_with_a_range_it_is_said_what_is_black_and_what_white() -> None:
    assert seen_as(1, "uint16", Units(-1000, 1000, "int16")) == (
        "-1000 is black and 1000 white (int16)"
    )
