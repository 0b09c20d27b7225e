"""The way back, and what it hides."""

import numpy as np
import pytest

from unpaired.data.catalog import worldtiles_view
from unpaired.evaluation.reconstruction import DISTURBANCES, reconstruct

X = worldtiles_view("aerial", "test")[:12]
COVER = worldtiles_view("map", "test")[:12]


def hide(x, cover):
    """A translation whose lowest three bits hold the input's highest three."""
    return (cover & 0b11111000) | (x >> 5)


def find(hidden):
    return ((hidden & 0b111) << 5) + 16


def test_a_message_in_the_lowest_bits_is_found_out():
    found = reconstruct(find, X, hide(X, COVER))
    assert found.scores["plain"]["l1"].value < 10
    assert found.scores["jpeg"]["l1"].value > 40
    assert found.hides
    assert found.verdict.startswith("Hidden messages")


def test_an_honest_recolouring_hides_nothing():
    found = reconstruct(lambda y: 255 - y, X, 255 - X)
    assert found.scores["plain"]["l1"].value == 0
    assert not found.hides
    assert found.verdict.startswith("No sign")
    assert 0 < found.drops["noise"]["l1"].value < 3


def test_drops_are_differences_picture_by_picture():
    found = reconstruct(find, X, hide(X, COVER), seed=3)
    for name in DISTURBANCES:
        for metric in ("l1", "psnr", "ssim"):
            drop = found.drops[name][metric]
            plain, worse = (found.scores[kind][metric] for kind in ("plain", name))
            assert drop.value == pytest.approx(worse.value - plain.value)
            assert drop.low <= drop.value <= drop.high
    assert found.pictures.shape == X.shape
    again = reconstruct(find, X, hide(X, COVER), seed=3)
    np.testing.assert_array_equal(found.disturbed["noise"], again.disturbed["noise"])


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", ["uint8", "uint16"])
@pytest.mark.parametrize("name", list(DISTURBANCES))
def test_a_disturbance_is_slight_and_keeps_shape_and_type(channels, kind, name):
    pictures = np.repeat(X[..., :1], channels, axis=3).astype(kind)
    pictures = pictures * 257 if kind == "uint16" else pictures
    disturbed = DISTURBANCES[name](pictures, np.random.default_rng(0))
    assert disturbed.shape == pictures.shape
    assert disturbed.dtype == pictures.dtype
    moved = np.abs(disturbed.astype(float) - pictures) * 255 / np.iinfo(kind).max
    assert 0 < moved.mean() < 5
