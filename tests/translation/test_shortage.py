"""Where memory runs short, the same pictures come out by a way that needs less."""

import numpy as np
import pytest
import torch

from tests.translation.fakes import negative, noise, save
from tests.translation.tiling.networks import translator
from unpaired.data.decode import Picture, read_picture
from unpaired.errors import UserError
from unpaired.shortage import is_shortage
from unpaired.translation.folder import translate_files
from unpaired.translation.tiling import tiler as module
from unpaired.translation.tiling.exact import Exact
from unpaired.translation.tiling.tiler import RUNGS, Tiler

ERRORS = [
    MemoryError(),
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
]


def scarce(translate, error, pixels):
    """The translator, on a machine with memory for so many pixels; returns what it was given."""
    real, given = translate.run, []

    def run(images, direction):
        given.append(len(images) * images.shape[1] * images.shape[2])
        if given[-1] > pixels:
            raise error
        return real(images, direction)

    translate.run = run
    return given


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_a_batch_is_halved_until_it_fits_and_the_pictures_stay_the_same(error, capsys):
    pictures = [Picture(noise(32, 32, seed=i)) for i in range(7)]
    expected = Tiler(translator("resnet"), None).pictures(pictures)
    translate = translator("resnet")
    given = scarce(translate, error, pixels=2 * 32 * 32)
    tiler = Tiler(translate, None)
    for want, made in zip(expected * 2, tiler.pictures(pictures) + tiler.pictures(pictures)):
        off = np.abs(want.pixels.astype(int) - made.pixels)
        assert off.max() <= 1  # sums of another batch are rounded otherwise
        assert (off == 0).mean() > 0.99
    assert [count // 1024 for count in given] == [7, 3, 1, 1, 1, 1, 1, 1, 1, *[1] * 7]
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "not enough memory for 7 pictures of 32 x 32 pixels at once; 3 at once now",
        "not enough memory for 3 pictures of 32 x 32 pixels at once; 1 at once now",
    ]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_a_picture_too_large_for_memory_goes_in_pieces_and_is_the_same(error, capsys):
    pictures = [Picture(noise(48, 64, seed=i)) for i in range(2)]
    translate = translator("resnet")
    expected = Tiler(translate, None).pictures(pictures)
    given = scarce(translate, error, pixels=0)
    for want, made in zip(expected, Tiler(translate, None).pictures(pictures)):
        off = np.abs(want.pixels.astype(int) - made.pixels)
        assert off.max() <= 1
        assert (off == 0).mean() > 0.99
    assert [count // (48 * 64) for count in given] == [2, 1]  # what was too much isn't tried again
    assert "64 x 48 pixels as a whole; translated in pieces, exactly" in capsys.readouterr().err


def test_pieces_become_smaller_a_bounded_number_of_times(monkeypatch, tmp_path, capsys):
    strips, sweep = [], Exact.sweep

    def scarce(self, x):
        strips.append(self.strip)
        if self.strip > enough:
            raise ERRORS[-1]
        return sweep(self, x)

    pixels = Picture(noise(48, 64))
    expected = Tiler(translator("resnet"), None, "exact").pictures([pixels])[0].pixels
    monkeypatch.setattr(Exact, "sweep", scarce)
    enough = RUNGS[-1][1]
    (made,) = Tiler(translator("resnet"), None, "exact").pictures([pixels])
    np.testing.assert_array_equal(made.pixels, expected)
    assert list(dict.fromkeys(strips)) == [strip for _, strip in RUNGS]
    assert capsys.readouterr().err.count("smaller ones now") == len(RUNGS) - 1

    strips.clear()
    enough = 0
    save(tmp_path / "a.png", pixels.pixels)
    out = tmp_path / "out"
    summary = translate_files(translator("resnet"), [tmp_path / "a.png"], out, tiles="exact")
    assert summary.failed == [(tmp_path / "a.png", "not enough memory for 64 x 48 pixels")]
    assert len(strips) == len(RUNGS)
    assert list(out.iterdir()) == []


def test_a_streamed_file_is_begun_again_with_smaller_pieces(monkeypatch, tmp_path):
    sweep, given = Exact.sweep, []

    def scarce(self, x):
        given.append(self.strip)
        if len(given) == 3:
            raise ERRORS[-1]
        return sweep(self, x)

    monkeypatch.setattr(Exact, "sweep", scarce)
    path = save(tmp_path / "a.png", noise(48, 64))
    tiler = Tiler(translator("resnet"), None)
    tiler.stream(path, tmp_path / "b.tif")
    monkeypatch.setattr(module, "WHOLE", 0)
    (expected,) = Tiler(translator("resnet"), None).pictures([read_picture(path)])
    np.testing.assert_array_equal(read_picture(tmp_path / "b.tif").pixels, expected.pixels)
    assert len(list(tmp_path.iterdir())) == 2


def test_without_pieces_or_of_another_error_it_fails(tmp_path):
    off = translator("resnet")
    scarce(off, ERRORS[0], pixels=0)
    with pytest.raises(MemoryError):
        Tiler(off, None, "off").pictures([Picture(noise(32, 32))])
    unknown = negative()
    scarce(unknown, ERRORS[0], pixels=0)
    with pytest.raises(MemoryError):
        Tiler(unknown, None).pictures([Picture(noise(32, 32))])
    other = translator("resnet")
    scarce(other, RuntimeError("in memory.cpp: bad shape"), pixels=0)
    with pytest.raises(RuntimeError, match="bad shape"):
        Tiler(other, None).pictures([Picture(noise(32, 32))])
    assert not is_shortage(RuntimeError("memory format"))


def test_what_is_not_finite_is_no_picture(tmp_path):
    save(tmp_path / "in/a.png", noise(32, 32))
    for tiles in ("off", "exact"):
        broken = translator("resnet")
        with torch.no_grad():
            next(broken.method.G.parameters()).fill_(torch.nan)
        with pytest.raises(UserError, match="not finite"):
            Tiler(broken, None, tiles).pictures([Picture(noise(32, 32))])
    summary = translate_files(broken, [tmp_path / "in"], tmp_path / "out")
    assert "not finite" in summary.failed[0][1]
    assert list((tmp_path / "out").iterdir()) == []
