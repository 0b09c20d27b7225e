"""Bytes are decoded as the files they come from."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from unpaired.data.decode import UnreadableImage, measure, read_picture
from unpaired.data.opening import Member

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (9, 14, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "name", ["a.png", "a.jpg", "a.webp", "a.bmp", "a.gif", "deep.tif", "palette.tif"]
)
def test_bytes_give_the_picture_of_their_file(tmp_path, name):
    path = tmp_path / name
    if name == "deep.tif":
        tifffile.imwrite(path, RNG.integers(0, 65536, (9, 14), dtype=np.uint16))
    elif name == "palette.tif":
        Image.fromarray(COLOUR).quantize(8).save(path)
    else:
        Image.fromarray(COLOUR).save(path)
    held = Member(f"s3://bucket/{name}", path.read_bytes())
    assert measure(held) == measure(path) == (14, 9)
    np.testing.assert_array_equal(read_picture(held).pixels, read_picture(path).pixels)


@pytest.mark.parametrize("content", [b"", b"no picture", b"II*\0"])
def test_bytes_that_are_no_picture_are_unreadable(content):
    with pytest.raises(UnreadableImage) as error:
        read_picture(Member("a.png", content))
    assert error.value.reason
