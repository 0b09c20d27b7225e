"""Files too large to be held: read, translated and written in pieces."""

import os

import numpy as np
import PIL.Image
import pytest
import tifffile
import torch

from tests.data.mutations import mutations
from tests.translation.fakes import noise
from tests.translation.tiling.networks import CONFIGS, translator
from unpaired.data.decode import Picture, UnreadableImage, read_picture
from unpaired.errors import UserError
from unpaired.translation.folder import translate_files
from unpaired.translation.tiling import tiler as tiler_module
from unpaired.translation.tiling.fast import reach
from unpaired.translation.tiling.image import mirrored
from unpaired.translation.tiling.large import exactly, fast
from unpaired.translation.tiling.sinks import write_tiff
from unpaired.translation.tiling.sources import Held, TiledTIFF, open_source, unnamed
from unpaired.translation.tiling.tiler import Tiler


def photo(height, width, seed=0):
    """Smooth, with a different light everywhere."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 40
    waves = [np.sin(a * y + b * x + c) for a, b, c in rng.normal(size=(3, 3))]
    return np.clip(
        128 + 90 * np.stack(waves, 2) + rng.normal(0, 9, (height, width, 3)), 0, 255
    ).astype(np.uint8)


def joined(pieces):
    return np.concatenate([piece.pixels for piece in pieces])


@pytest.mark.parametrize("size", [(97, 130), (64, 64), (33, 201)])
@pytest.mark.parametrize("direction", ["x2y", "y2x"])
def test_exactly_is_one_pass_over_the_whole(size, direction):
    translate = translator("resnet")
    pixels = photo(*size)
    made = joined(exactly(translate, Held(Picture(pixels)), direction))
    whole = translate(pixels, direction)
    assert made.shape == whole.shape
    assert np.abs(made.astype(int) - whole).max() <= 1
    assert (made != whole).mean() < 0.001


def test_in_bfloat16_it_differs_by_rounding_alone():
    translate = translator("resnet", "bf16")
    pixels = photo(96, 96)
    made = joined(exactly(translate, Held(Picture(pixels)))).astype(int)
    exact = translator("resnet")(pixels).astype(int)
    assert np.abs(made - exact).mean() <= 1.5 * np.abs(translate(pixels) - exact).mean() + 0.1


def test_alpha_and_16_bits_go_through(tmp_path):
    translate = translator("resnet", dtype_x="uint16", dtype_y="uint16")
    pixels = photo(60, 70).astype(np.uint16) * 257
    alpha = (noise(60, 70, 1)[:, :, 0].astype(np.uint16)) * 257
    pieces = list(exactly(translate, Held(Picture(pixels, alpha))))
    assert np.array_equal(np.concatenate([piece.alpha for piece in pieces]), alpha)
    whole = translate.pictures([Picture(pixels, alpha)])[0]
    assert np.abs(joined(pieces).astype(int) - whole.pixels).max() <= 4  # of 65535


@pytest.mark.parametrize("name", [n for n, c in CONFIGS.items() if c.kind == "resnet"])
def test_fast_tiles_have_no_seams(name, monkeypatch):
    """With the whole picture's statistics, tiles are the whole's translation: nothing of their
    borders is left."""
    monkeypatch.setattr("unpaired.translation.tiling.fast.CORE", 64)
    monkeypatch.setattr("unpaired.translation.tiling.fast.SIDE", 256)
    translate = translator(name)
    pixels = photo(256, 256)  # one sampled tile is all of it
    made = joined(fast(translate, Held(Picture(pixels))))
    assert np.abs(made.astype(int) - translate(pixels)).max() <= 1


def test_fast_tiles_in_bfloat16_differ_by_rounding_alone(monkeypatch):
    monkeypatch.setattr("unpaired.translation.tiling.fast.CORE", 64)
    pixels = photo(256, 200)
    made, exact = (
        joined(fast(translator("resnet", precision), Held(Picture(pixels)))).astype(int)
        for precision in ("bf16", "fp32")
    )
    assert np.abs(made - exact).mean() < 6  # an untrained network's noise; fp32 sees other rounding


def test_the_error_that_fast_tells_is_about_the_error(monkeypatch):
    monkeypatch.setattr("unpaired.translation.tiling.fast.SIDE", 48)
    translate, told = translator("resnet"), []
    pixels = photo(600, 400)
    made = joined(fast(translate, Held(Picture(pixels)), on_error=told.append))
    true = np.abs(made.astype(int) - translate(pixels)).mean()
    assert 0.2 * true < told[0] < 5 * true


def test_reach_is_as_far_as_the_network_sees():
    network = translator("no norm, input skip").method.G
    x = torch.zeros(1, 3, 128, 128, requires_grad=True)
    network(x)[0, :, 64, 64].sum().backward()
    seen = x.grad[0].abs().sum(0).nonzero()
    assert (seen - 64).abs().max() <= reach(network) < 64


@pytest.mark.parametrize("size", [1, 2, 5])
def test_mirrored_is_numpys_reflection(size):
    if size == 1:
        assert mirrored(np.arange(4), 1).tolist() == [0] * 4
        return
    known = np.pad(np.arange(size), (0, 9), mode="reflect")
    assert mirrored(np.arange(size + 9), size).tolist() == known.tolist()


@pytest.mark.parametrize("channels", [1, 3, 4, 5])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("layout", [{"tile": (16, 32)}, {"rowsperstrip": 7}, {}])
def test_a_tiff_is_read_piece_by_piece(tmp_path, channels, dtype, layout):
    pixels = noise(61, 75, channels).astype(dtype) * (257 if dtype == np.uint16 else 1)
    extra = {1: None, 3: None, 4: ["unassalpha"], 5: ["unspecified"] * 4}[channels]
    tifffile.imwrite(
        tmp_path / "a.tif",
        pixels[:, :, 0] if channels == 1 else pixels,
        photometric="rgb" if channels in (3, 4) else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=extra,
        compression="zlib",
        **layout,
    )
    source = open_source(tmp_path / "a.tif")
    assert isinstance(source, TiledTIFF)
    whole = read_picture(tmp_path / "a.tif")
    for top, bottom in ((0, 61), (5, 6), (13, 40), (60, 61)):
        piece = source.rows(top, bottom)
        assert np.array_equal(piece.pixels, whole.pixels[top:bottom])
        if whole.alpha is not None:
            assert np.array_equal(piece.alpha, whole.alpha[top:bottom])


def test_what_is_no_plain_tiff_is_decoded_as_ever(tmp_path):
    PIL.Image.fromarray(photo(40, 50)).save(tmp_path / "a.jpg")
    tifffile.imwrite(tmp_path / "turned.tif", photo(40, 50), extratags=[(274, "H", 1, 6, True)])
    for name in ("a.jpg", "turned.tif"):
        source = open_source(tmp_path / name)
        whole = read_picture(tmp_path / name).pixels
        assert isinstance(source, Held)
        assert np.array_equal(source.rows(3, 20).pixels, whole[3:20])


def test_a_torn_tiff_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tiler_module, "STREAMED", 1000)
    tifffile.imwrite(tmp_path / "a.tif", photo(200, 200), tile=(64, 64), compression="zlib")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        at = tiff.pages[0].dataoffsets[-1]
    content[at : at + 40] = b"x" * 40
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(UnreadableImage):
        open_source(tmp_path / "a.tif").rows(150, 200)
    summary = translate_files(translator("resnet"), [tmp_path / "a.tif"], tmp_path / "out")
    assert "can't be read" in summary.failed[0][1]
    assert list((tmp_path / "out").iterdir()) == []


def test_a_pyramid_holds_the_picture_and_its_halves(tmp_path):
    pixels = photo(1501, 2310)
    pieces = [Picture(pixels[top : top + 333]) for top in range(0, 1501, 333)]
    write_tiff(tmp_path / "a.tif", pieces, 1501, 2310)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.is_bigtiff
        levels = tiff.series[0].levels
        assert [level.shape for level in levels] == [
            (1501, 2310, 3),
            (750, 1155, 3),
            (375, 577, 3),
        ]
        assert tiff.pages[0].is_tiled
        assert np.array_equal(levels[0].asarray(), pixels)
        four = pixels[:1500].reshape(750, 2, 1155, 2, 3).mean((1, 3))
        assert np.abs(levels[1].asarray() - four).max() <= 0.5


@pytest.mark.parametrize("tiles", ["auto", "exact", "fast"])
def test_a_huge_file_becomes_a_tiled_tiff(tmp_path, monkeypatch, tiles):
    monkeypatch.setattr(tiler_module, "STREAMED", 5000)
    pixels = photo(150, 120)
    PIL.Image.fromarray(pixels).save(tmp_path / "in.png")
    told = []
    translate = translator("resnet")
    summary = translate_files(
        translate, [tmp_path / "in.png"], tmp_path / "out", tiles=tiles, on_error=told.append
    )
    assert summary.translated == 1, summary
    made = tifffile.imread(tmp_path / "out" / "in.tif")
    close = 1 if tiles != "fast" else 255
    assert np.abs(made.astype(int) - translate(pixels)).max() <= close
    assert len(told) == (tiles == "fast")
    again = translate_files(translate, [tmp_path / "in.png"], tmp_path / "out", tiles=tiles)
    assert (again.translated, again.skipped) == (0, 1)
    other = translate_files(
        translate, [tmp_path / "in.png"], tmp_path / "jpg", tiles=tiles, format="jpg"
    )
    assert other.failed[0][1] == "too large for jpg; give --format tif"


def test_auto_takes_one_pass_while_pictures_are_small(monkeypatch):
    translate = translator("resnet")
    tiler = Tiler(translate, None)
    pictures = [Picture(photo(32, 32, seed)) for seed in range(2)]
    whole = translate.pictures(pictures)
    for one, other in zip(tiler.pictures(pictures), whole):
        assert np.array_equal(one.pixels, other.pixels)
    monkeypatch.setattr(tiler_module, "WHOLE", 100)
    for one, other in zip(tiler.pictures(pictures), whole):
        assert np.abs(one.pixels.astype(int) - other.pixels).max() <= 1


def test_a_method_whose_network_is_unknown_goes_whole_or_is_refused(monkeypatch):
    from tests.translation.fakes import negative

    monkeypatch.setattr(tiler_module, "WHOLE", 100)
    pixels = np.arange(16 * 20 * 3, dtype=np.uint8).reshape(16, 20, 3)
    (made,) = Tiler(negative(), None).pictures([Picture(pixels)])
    np.testing.assert_array_equal(made.pixels, 255 - pixels)
    with pytest.raises(UserError, match="can't translate a picture in pieces"):
        Tiler(negative(), None, "exact")


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no way to have room kept")
def test_no_room_for_an_unnamed_file_is_one_line_before_it_is_written(monkeypatch) -> None:
    def full(descriptor: int, at: int, size: int) -> None:
        assert size == 30 * 20 * 3 * 2
        raise OSError(28, "No space left on device")

    kept = unnamed((30, 20, 3), np.uint16)
    kept[:] = 7
    assert (kept == 7).all()
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match="no space left on device; make room or set TMPDIR"):
        unnamed((30, 20, 3), np.uint16)


def test_bad_files_have_no_known_size_and_only_they(tmp_path, monkeypatch):
    """Whoever decodes them says why; a fault of the program is not taken for one of a file."""
    bad = [b for b in mutations(seed=3, count=300) if b.format == "TIFF" and not b.make]
    assert len(bad) > 30
    for number, one in enumerate(bad):
        path = tmp_path / f"{number}.tif"
        path.write_bytes(one.content)
        assert tiler_module._pixels(path) >= 0
    assert tiler_module._pixels(tmp_path / "missing.tif") == 0

    def faulty(path):
        raise ZeroDivisionError

    monkeypatch.setattr(tiler_module, "measure", faulty)
    with pytest.raises(ZeroDivisionError):
        tiler_module._pixels(tmp_path / "missing.png")
