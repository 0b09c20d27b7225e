"""What a notebook shows of a translator and of what it did."""

import io
from html.parser import HTMLParser

import numpy as np
import PIL.Image
import pytest

from tests.translation.fakes import negative, noise
from unpaired.data.picture import Picture
from unpaired.errors import UserError
from unpaired.translation import beside
from unpaired.translation.beside import GAP, Comparison


def test_before_is_left_and_after_is_right_of_it():
    pixels = noise(140, 160)
    shown = np.asarray(negative().compare(PIL.Image.fromarray(pixels)).image)
    assert shown.shape == (140, 2 * 160 + GAP, 3)
    np.testing.assert_array_equal(shown[:, :160], pixels)
    np.testing.assert_array_equal(shown[:, 160 + GAP :], 255 - pixels)
    assert (shown[:, 160 : 160 + GAP] == 255).all()


def test_small_pictures_are_enlarged_whole_and_large_ones_shrunk():
    pixels = noise(50, 64)
    shown = np.asarray(negative().compare(pixels).image)
    assert shown.shape == (100, 2 * 128 + GAP, 3)
    np.testing.assert_array_equal(shown[::2, :128:2], pixels)
    np.testing.assert_array_equal(shown[1::2, 1:128:2], pixels)
    assert negative().compare(noise(100, 2048)).image.size == (2 * 512 + GAP, 25)


def test_pairs_fill_rows_and_keep_their_order():
    pictures = [np.full((128, 128, 3), 20 * i, np.uint8) for i in range(7)]
    image = negative().compare(pictures).image
    cell = 2 * 128 + GAP + 3 * GAP
    across = 4  # of 1200 pixels
    assert image.size == (across * cell - 3 * GAP, 2 * (128 + GAP) - GAP)
    for i in range(7):
        corner = (i % across * cell, i // across * (128 + GAP))
        assert image.getpixel(corner) == (20 * i,) * 3
        assert image.getpixel((corner[0] + 128 + GAP, corner[1])) == (255 - 20 * i,) * 3
    assert image.getpixel((3 * cell, 128 + GAP)) == (255,) * 3  # nothing there


def test_alpha_depth_and_many_channels_become_what_a_screen_can_show():
    clear = Picture(np.zeros((128, 128, 3), np.uint8), np.zeros((128, 128), np.uint8))
    deep = Picture(np.full((128, 128, 1), 65535, np.uint16))
    many = Picture(np.arange(5, dtype=np.uint8) + np.zeros((128, 128, 5), np.uint8))
    shown = Comparison((clear, many), (deep, many), "x2y").image
    assert shown.getpixel((0, 0)) == (255, 255, 255)
    assert shown.getpixel((128 + GAP, 0)) == (255, 255, 255)
    assert shown.getpixel((2 * (128 + GAP) + 2 * GAP, 0)) == (2, 2, 3)  # five hues, added


def test_a_notebook_gets_a_png_and_so_does_a_file(tmp_path):
    found = negative().compare(noise(20, 20), "y2x")
    assert found.direction == "y2x"
    found.save(tmp_path / "pair.png")
    content = (tmp_path / "pair.png").read_bytes()
    assert content == found._repr_png_()
    with PIL.Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("PNG", found.image.size)
    assert "of 1, y2x" in repr(found)


def test_nothing_and_an_unknown_direction_are_refused():
    with pytest.raises(ValueError, match="no images"):
        negative().compare([])
    with pytest.raises(UserError, match="x2y and y2x"):
        negative().compare(noise(9, 9), "sideways")


def test_a_translator_says_what_it_is_and_what_is_put_in_is_escaped():
    translator = negative(data="<b>photos</b>")
    text = translator._repr_html_()
    parser = HTMLParser()
    parser.feed(text)
    for expected in ("negative", "&lt;b&gt;photos", "X to Y, Y to X", "3 x 8 bits (X)", "torch in"):
        assert expected in text
    assert "negative" in repr(translator)
    one_way = negative(directions=("x2y",))
    assert "Y to X" not in beside.description(one_way.card, one_way.computes)
