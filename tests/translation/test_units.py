"""Domains with a range, through translation: what goes in comes out, in its units and type."""

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile

from tests.translation.fakes import card, negative
from tests.translation.tiling.networks import translator
from unpaired.data.decode import read_stored
from unpaired.data.units import WRITTEN, Units
from unpaired.errors import UserError
from unpaired.training.card import Card
from unpaired.training.parsing import parse
from unpaired.translation.exporting.label import label_of, read_label
from unpaired.translation.folder import translate_files
from unpaired.translation.output import Unwritable, encode
from unpaired.translation.tiling import tiler as tiler_module

RNG = np.random.default_rng(0)
SPANS = {"uint8": (3, 250), "uint16": (0, 4095), "int8": (-100, 100), "int16": (-1000, 1000)}
SPANS |= {"int32": (-(2**30), 2**30), "uint32": (0, 2**31)}


def ranged(channels: int, units: Units):
    """Both domains alike; its way back, y2x, leaves pictures as they are."""
    deep = {"dtype_x": "uint16", "dtype_y": "uint16", "units_x": units, "units_y": units}
    return negative(channels_x=channels, channels_y=channels, **deep)


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("dtype", WRITTEN)
def test_what_goes_in_comes_out_of_a_network_that_does_nothing(
    tmp_path: Path, dtype: str, channels: int
) -> None:
    low, high = SPANS.get(dtype, (-0.5, 1.5))
    units = Units(low, high, dtype)
    values = (low + RNG.random((10, 13, channels)) * (high - low)).astype(dtype)
    (tmp_path / "in").mkdir()
    options = {"photometric": "minisblack"}
    if channels > 1:
        options["planarconfig"] = "contig"
    tifffile.imwrite(tmp_path / "in/a.tif", values if channels > 1 else values[:, :, 0], **options)
    same = ranged(channels, units)
    summary = translate_files(same, [tmp_path / "in"], tmp_path / "out", direction="y2x")
    assert summary.translated == 1, summary
    (path,) = (tmp_path / "out").iterdir()
    png = (dtype == "uint8" and channels < 5) or (dtype == "uint16" and channels == 1)
    assert path.suffix == (".png" if png else ".tif")
    back = read_stored(path).pixels
    assert str(back.dtype) == dtype
    allowed = (high - low) / 65535 / 2 + 1e-7
    if np.dtype(dtype).kind in "iu":
        allowed = 0 if high - low <= 65535 else allowed + 0.5
    assert np.abs(back.astype(np.float64) - values.astype(np.float64)).max() <= allowed
    in_memory = same(values, "y2x")
    np.testing.assert_array_equal(in_memory, back)


def test_values_beyond_the_range_are_clipped_and_the_negative_is_that_of_the_range() -> None:
    units = Units(-1000, 1000, "int16")
    values = np.full((16, 16, 1), 200, np.int16)
    values[0, 0], values[1, 1] = 3000, -2000
    made = ranged(1, units)(values, "x2y")
    assert (made[0, 0], made[1, 1], made[5, 5]) == (-1000, 1000, -200)


def test_each_domain_has_its_own_units(tmp_path: Path) -> None:
    units = {"units_x": Units(0, 4095, "uint16"), "units_y": Units(0.0, 2.0, "float32")}
    run = negative(channels_x=1, channels_y=1, dtype_x="uint16", dtype_y="uint16", **units)
    made = run(np.full((16, 16, 1), 4095, np.uint16))
    assert made.dtype == np.float32
    assert (made == 0).all()
    back = run(np.full((16, 16, 1), 2.0, np.float32), "y2x")
    assert back.dtype == np.uint16
    assert (back == 4095).all()


def test_arrays_without_a_range_are_refused_as_before_and_nan_in_one_line() -> None:
    with pytest.raises(TypeError, match="uint8 or uint16"):
        negative()(np.zeros((16, 16, 3), np.float32))
    with pytest.raises(UserError, match="nan or inf"):
        ranged(1, Units(0, 1, "float32"))(np.full((16, 16, 1), np.nan, np.float32))


def test_pillow_images_of_floats_and_signed_numbers() -> None:
    floats = PIL.Image.fromarray(np.full((16, 16), 0.5, np.float32))
    made = ranged(1, Units(0, 1, "float32"))(floats, "y2x")
    assert made.mode == "F"
    assert np.asarray(made) == pytest.approx(0.5, abs=1e-5)
    signed = PIL.Image.fromarray(np.full((16, 16), -7, np.int32))
    made = ranged(1, Units(-10, 10, "int16"))(signed, "y2x")
    assert made.mode == "I"
    assert (np.asarray(made) == -7).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_alpha_comes_out_as_it_went_in(tmp_path: Path, dtype: str, channels: int) -> None:
    top = np.iinfo(dtype).max
    values = RNG.integers(0, top, (9, 16, channels + 1)).astype(dtype)
    values[..., -1] = np.where(values[..., -1] % 2, top, 0)
    (tmp_path / "in").mkdir()
    tifffile.imwrite(
        tmp_path / "in/a.tif",
        values,
        photometric="rgb" if channels == 3 else "minisblack",
        planarconfig="contig",
        extrasamples=["unassalpha"],
    )
    plain = negative(channels_x=channels, channels_y=channels, dtype_x=dtype, dtype_y=dtype)
    translate_files(plain, [tmp_path / "in"], tmp_path / "out", direction="y2x")
    (path,) = (tmp_path / "out").iterdir()
    back = read_stored(path)
    np.testing.assert_array_equal(back.alpha, values[..., -1])
    seen = values[..., -1] == top
    np.testing.assert_array_equal(back.pixels[seen], values[..., :-1][seen])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_many_channels_are_planes_that_name_their_axes(tmp_path: Path, dtype: str) -> None:
    units = None if dtype.startswith("uint") else Units(0, 100, dtype)
    deep = "uint8" if dtype == "uint8" else "uint16"
    run = negative(channels_x=1, channels_y=5, dtype_x="uint8", dtype_y=deep, units_y=units)
    (made,) = run.pictures([tiny(1)])
    (tmp_path / "a.tif").write_bytes(encode(made, "tif"))
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.is_ome
        assert (tiff.series[0].axes, tiff.series[0].shape) == ("CYX", (5, 16, 17))
        assert tiff.series[0].dtype == dtype
        assert tiff.pages[0].photometric == tifffile.PHOTOMETRIC.MINISBLACK
    assert read_stored(tmp_path / "a.tif").pixels.shape == (16, 17, 5)
    with pytest.raises(Unwritable, match=r"png can't hold 5 channels.*use tif"):
        encode(made, "png")


def tiny(channels: int):
    from unpaired.data.picture import Picture

    return Picture(RNG.integers(0, 256, (16, 17, channels)).astype(np.uint8))


def test_a_file_in_pieces_has_the_values_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = Units(-1000, 1000, "int16")
    run = translator("resnet", dtype_x="uint16", dtype_y="uint16", units_x=units, units_y=units)
    values = RNG.integers(-1200, 1200, (70, 90, 3)).astype(np.int16)
    (tmp_path / "in").mkdir()
    tifffile.imwrite(
        tmp_path / "in/a.tif", values, photometric="rgb", tile=(32, 32), compression="zlib"
    )
    whole = run(values)
    monkeypatch.setattr(tiler_module, "STREAMED", 64)
    translate_files(run, [tmp_path / "in"], tmp_path / "out")
    with tifffile.TiffFile(tmp_path / "out/a.tif") as tiff:
        assert tiff.pages[0].is_tiled
        pieces = tiff.pages[0].asarray()
    assert pieces.dtype == whole.dtype == np.int16
    assert np.abs(pieces.astype(int) - whole.astype(int)).max() <= 1
    assert whole.std() > 5


def test_cards_and_labels_keep_units_and_old_ones_have_none() -> None:
    units = Units(-1000, 1000, "int16")
    about = card(dtype_x="uint16", units_x=units)
    label = label_of(about, "x2y", 16, "run")
    told = json.loads(label.write())
    assert told["input"]["range_stands_for"] == {"low": -1000, "high": 1000, "dtype": "int16"}
    assert told["output"]["range_stands_for"] == "uint8"
    assert read_label(label.write(), "a.onnx").card.units("x2y") == (units, None)
    del told["card"]["units_x"], told["card"]["units_y"]
    old = parse(Card, told["card"], "old")
    assert old.units("y2x") == (None, None)
    with pytest.raises(ValueError, match="units of uint8"):
        card(units_x=units)
