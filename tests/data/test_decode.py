"""The decode policy of docs/data.md, case by case."""

import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

import unpaired.data.picture as picture_module
from unpaired.data.conversions import from_unit, to_unit, with_channels, with_dtype
from unpaired.data.decode import Picture, UnreadableImage, probe, read_picture
from unpaired.data.pillow import picture_of
from unpaired.errors import UserError

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (6, 9), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (6, 9), dtype=np.uint16)


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp"])
def test_lossless_rgb_comes_back_as_it_is(suffix, tmp_path):
    options = {"lossless": True} if suffix == "webp" else {}
    picture = read_picture(save(tmp_path / f"a.{suffix}", RGB, **options))
    assert np.array_equal(picture.pixels, RGB)
    assert picture.alpha is None


def test_jpeg_comes_back_nearly(tmp_path):
    smooth = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    picture = read_picture(save(tmp_path / "a.jpg", smooth, quality=95))
    assert np.abs(picture.pixels.astype(int) - smooth).max() <= 3


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_grey_has_one_channel(suffix, tmp_path):
    picture = read_picture(save(tmp_path / f"a.{suffix}", GREY))
    assert np.array_equal(picture.pixels, GREY[:, :, None])


def test_one_bit_becomes_black_and_white(tmp_path):
    Image.fromarray(GREY).convert("1").save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert picture.pixels.shape == (6, 9, 1)
    assert set(np.unique(picture.pixels)) == {0, 255}


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_stays_16_bit(suffix, tmp_path):
    if suffix == "tif":
        tifffile.imwrite(tmp_path / "a.tif", DEEP)
    else:
        Image.fromarray(DEEP).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / f"a.{suffix}")
    assert picture.pixels.dtype == np.uint16
    assert np.array_equal(picture.pixels, DEEP[:, :, None])
    assert probe(tmp_path / f"a.{suffix}") == (1, "uint16")


@pytest.mark.parametrize("channels", [2, 3, 5])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_a_tiff_of_many_16_bit_channels_keeps_them_all(channels, planar, tmp_path):
    deep = RNG.integers(0, 65536, (6, 9, channels), dtype=np.uint16)
    stored = deep if planar == "contig" else deep.transpose(2, 0, 1)
    extra = [0] * (channels - (3 if channels == 3 else 1))
    tifffile.imwrite(
        tmp_path / "a.tif",
        stored,
        planarconfig=planar,
        photometric="rgb" if channels == 3 else "minisblack",
        extrasamples=extra or None,
    )
    assert np.array_equal(read_picture(tmp_path / "a.tif").pixels, deep)


def test_a_floating_point_tiff_is_refused_with_the_reason(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", RNG.random((6, 9)).astype(np.float32))
    with pytest.raises(UnreadableImage, match="float32 pixels have no known range"):
        read_picture(tmp_path / "a.tif")


def test_rgba_is_split_and_composited_on_white_for_training(tmp_path):
    alpha = np.zeros((6, 9), np.uint8)
    alpha[:, 4:] = 255
    picture = read_picture(save(tmp_path / "a.png", np.dstack([RGB, alpha])))
    assert np.array_equal(picture.pixels, RGB)
    assert np.array_equal(picture.alpha, alpha)
    flat = picture.on_white()
    assert (flat[:, :4] == 255).all()
    assert np.array_equal(flat[:, 4:], RGB[:, 4:])


def test_grey_with_alpha_keeps_one_channel(tmp_path):
    picture = read_picture(save(tmp_path / "a.png", np.dstack([GREY, GREY])))
    assert picture.pixels.shape == (6, 9, 1)
    assert np.array_equal(picture.alpha, GREY)


def test_a_palette_becomes_rgb_and_its_transparency_alpha(tmp_path):
    image = Image.fromarray(GREY // 64).convert("L").convert("P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255] + [0] * 756)
    image.save(tmp_path / "plain.png")
    picture = read_picture(tmp_path / "plain.png")
    assert np.array_equal(picture.pixels, np.asarray(image.convert("RGB")))
    assert picture.alpha is None
    image.save(tmp_path / "clear.png", transparency=0)
    assert read_picture(tmp_path / "clear.png").alpha is not None


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (9, 6), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.pixels.shape == (6, 9, 3)
    r, g, b = picture.pixels[3, 4]
    assert r > 200
    assert max(g, b) < 60


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_every_exif_orientation_is_undone(orientation, suffix, tmp_path):
    """The file holds the picture as the camera saw it."""
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(RGB).save(path, exif=exif)
    undo = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: RGB.transpose(1, 0, 2)[:, ::-1],
        7: RGB.transpose(1, 0, 2)[::-1, ::-1],
        8: RGB.transpose(1, 0, 2)[::-1],
    }
    assert np.array_equal(read_picture(path).pixels, undo[orientation])


@pytest.mark.parametrize("suffix", ["webp", "tif", "png"])
def test_of_an_animation_the_first_frame_counts(suffix, tmp_path):
    frames = [Image.new("RGB", (9, 6), c) for c in ("red", "lime", "blue")]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], **options)
    assert (read_picture(tmp_path / f"a.{suffix}").pixels == (255, 0, 0)).all()


def test_content_counts_not_the_name(tmp_path):
    save(tmp_path / "a.png", RGB)
    (tmp_path / "a.png").rename(tmp_path / "lies.jpg")
    assert np.array_equal(read_picture(tmp_path / "lies.jpg").pixels, RGB)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp"])
@pytest.mark.parametrize("keep", [0.0, 0.05, 0.5, 0.9])
def test_a_truncated_file_is_unreadable_not_half_a_picture(suffix, keep, tmp_path):
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / f"a.{suffix}", noise)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(UnreadableImage) as error:
        read_picture(path)
    assert str(path) in str(error.value)
    assert "\n" not in error.value.reason


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"II*\0" + b"\xff" * 40])
def test_what_is_no_picture_is_unreadable(content, tmp_path):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UnreadableImage):
        read_picture(tmp_path / "a.png")
    with pytest.raises(UnreadableImage):
        probe(tmp_path / "a.png")


def test_a_missing_file_and_a_folder_are_unreadable(tmp_path):
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(UnreadableImage):
            read_picture(path)


def png_that_claims(width: int, height: int) -> bytes:
    """A tiny PNG whose header promises more pixels than anybody has memory for."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path):
    (tmp_path / "a.png").write_bytes(png_that_claims(60000, 60000))
    with pytest.raises(UnreadableImage, match="60000 x 60000 is over"):
        read_picture(tmp_path / "a.png")


def test_the_size_limit_holds_for_tiff_too(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", DEEP)
    monkeypatch.setattr(picture_module, "MAX_PIXELS", 53)
    with pytest.raises(UnreadableImage, match="9 x 6 is over 53"):
        read_picture(tmp_path / "a.tif")


def test_a_jpeg_may_be_decoded_smaller_but_never_smaller_than_asked(tmp_path):
    save(tmp_path / "a.jpg", np.zeros((400, 600, 3), np.uint8))
    assert read_picture(tmp_path / "a.jpg").pixels.shape == (400, 600, 3)
    small = read_picture(tmp_path / "a.jpg", at_least=90).pixels
    assert small.shape == (100, 150, 3)


def test_probe_agrees_with_decoding(tmp_path):
    files = {
        "rgb.png": RGB,
        "grey.png": GREY,
        "rgba.png": np.dstack([RGB, GREY]),
        "deep.png": DEEP,
        "rgb.jpg": RGB,
    }
    for name, pixels in files.items():
        path = save(tmp_path / name, pixels)
        read = read_picture(path).pixels
        assert probe(path) == (read.shape[2], str(read.dtype))


def test_channels_convert_between_grey_and_colour_and_nothing_else():
    assert np.array_equal(with_channels(GREY[:, :, None], 3), np.dstack([GREY] * 3))
    luma = with_channels(RGB, 1)[:, :, 0].astype(int)
    assert np.abs(luma - np.asarray(Image.fromarray(RGB).convert("L"))).max() <= 1
    with pytest.raises(UserError, match="4 channels where 3 are expected"):
        with_channels(np.zeros((2, 2, 4), np.uint8), 3)


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=4)))
def test_unit_range_is_a_round_trip_in_8_bits(pixels):
    values = to_unit(pixels)
    assert values.dtype == np.float32
    assert np.array_equal(from_unit(values, "uint8"), pixels)


@given(hnp.arrays(np.uint16, hnp.array_shapes(min_dims=3, max_dims=3, max_side=4)))
def test_unit_range_is_a_round_trip_in_16_bits(pixels):
    assert np.array_equal(from_unit(to_unit(pixels), "uint16"), pixels)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_unit_range_spans_the_type_and_clips_beyond(dtype):
    top = np.iinfo(dtype).max
    ends = to_unit(np.array([[[0, top]]], dtype))
    assert ends.ravel().tolist() == [-1, 1]
    assert from_unit(np.array([[[-3.0, 3.0]]]), dtype).ravel().tolist() == [0, top]


@given(st.integers(0, 255))
def test_8_bits_survive_a_detour_through_16(value):
    pixels = np.full((1, 1, 1), value, np.uint8)
    assert np.array_equal(with_dtype(with_dtype(pixels, "uint16"), "uint8"), pixels)


@given(st.binary(max_size=300), st.integers(0, 3))
def test_no_bytes_whatever_raise_anything_but_unreadable(junk, kind):
    head = (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0\x08\0\0\0")[kind]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.png"
        path.write_bytes(head + junk)
        try:
            picture = read_picture(path)
        except UnreadableImage:
            return
        assert isinstance(picture, Picture)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("mode", ["P", "CMYK", "1"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_tiff_of_any_kind_lies_the_right_way_up(orientation, mode, compression, tmp_path):
    image = Image.fromarray(RGB)
    image = image.quantize(8) if mode == "P" else image.convert(mode)
    image.save(tmp_path / "a.tif", tiffinfo={274: orientation}, compression=compression)
    turn = {3: "ROTATE_180", 6: "ROTATE_270", 8: "ROTATE_90"}[orientation]
    upright = image.transpose(Image.Transpose[turn]).convert("L" if mode == "1" else "RGB")
    read = read_picture(tmp_path / "a.tif").pixels.squeeze()
    np.testing.assert_array_equal(read, np.asarray(upright))


@pytest.mark.parametrize("pixels", [GREY, DEEP], ids=["8", "16"])
def test_where_zero_is_white_grey_is_inverted(pixels, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
    read = read_picture(tmp_path / "a.tif").pixels[:, :, 0]
    np.testing.assert_array_equal(read, np.iinfo(pixels.dtype).max - pixels)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "I;16"])
def test_compressed_tiffs_are_read_without_imagecodecs(mode, compression, tmp_path, monkeypatch):
    pixels = DEEP if mode == "I;16" else np.asarray(Image.fromarray(RGB).convert(mode))
    save(tmp_path / "a.tif", pixels, compression=compression)

    def lacking(page):
        raise ValueError("<COMPRESSION> requires the 'imagecodecs' package")

    if compression != "tiff_adobe_deflate":  # which Python itself inflates
        monkeypatch.setattr(tifffile.TiffPage, "asarray", lacking)
    read = read_picture(tmp_path / "a.tif")
    whole = read.pixels if read.alpha is None else np.dstack([read.pixels, read.alpha])
    np.testing.assert_array_equal(whole.squeeze(), pixels)
    assert probe(tmp_path / "a.tif") == (read.pixels.shape[2], str(read.pixels.dtype))


def test_what_only_imagecodecs_can_unpack_says_so(tmp_path, monkeypatch):
    def lacking(page):
        raise ValueError("<COMPRESSION> requires the 'imagecodecs' package")

    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8, 3), np.uint16), photometric="rgb")
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lacking)
    with pytest.raises(UnreadableImage, match="needs `pip install imagecodecs`"):
        read_picture(tmp_path / "a.tif")


def test_headers_are_probed_without_decoding(tmp_path, monkeypatch):
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((8, 8, 7), np.uint16),
        photometric="minisblack",
        planarconfig="contig",
    )
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((8, 8), np.float32))
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda page: pytest.fail("decoded"))
    assert probe(tmp_path / "a.tif") == (7, "uint16")
    with pytest.raises(UnreadableImage, match="float32"):
        probe(tmp_path / "b.tif")


ODD = """
import sys, warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from PIL import Image
if sys.argv[2] == "ours":
    from unpaired.data.decode import read_picture as read
else:
    read = lambda path: Image.open(path)._getexif()
before = list(warnings.filters)
with ThreadPoolExecutor(4) as pool:
    list(pool.map(read, [Path(sys.argv[1])] * 20))
assert warnings.filters == before
warnings.warn("the others still warn")
"""


def test_oddities_of_readable_files_go_unsaid_and_other_warnings_do_not(tmp_path):
    exif = Image.Exif()
    exif[271] = "a maker" * 9
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=exif.tobytes()[:-20], quality=95)
    said = {}
    for reader in ("ours", "Pillow's"):
        program = [sys.executable, "-c", ODD]
        done = subprocess.run(
            [*program, tmp_path / "a.jpg", reader], capture_output=True, text=True, check=True
        )
        said[reader] = done.stderr
    assert "Truncated" in said["Pillow's"]
    assert "Truncated" not in said["ours"]
    assert all("the others still warn" in stderr for stderr in said.values())


def test_a_picture_in_memory_is_turned_but_not_changed():
    image = Image.fromarray(RGB)
    image.getexif()[274] = 6
    assert np.array_equal(picture_of(image).pixels, np.rot90(RGB, -1))
    assert image.getexif()[274] == 6
    assert np.array_equal(np.asarray(image), RGB)
