"""A stylist paints any picture at its own size, and never harms a file."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from tests.networks.fakes import random_vgg16
from tests.translation.fakes import noise, save
from unpaired.data.decode import Picture, read_picture
from unpaired.errors import UserError
from unpaired.methods.gatys import GatysConfig, style_of
from unpaired.networks.vgg import VGG16
from unpaired.translation.folder import convert_files
from unpaired.translation.stylist import Stylist, style_files

QUICK = GatysConfig(steps=1)


@pytest.fixture(scope="module")
def net() -> VGG16:
    return random_vgg16()


@pytest.fixture
def style(tmp_path: Path) -> Path:
    return save(tmp_path / "style.png", noise(24, 32))


@pytest.mark.parametrize("size", [None, 24])
def test_size_depth_and_alpha_are_kept_and_grey_becomes_colour(size, style, net):
    stylist = Stylist(net, [style], QUICK, size=size)
    alpha = noise(20, 33, 1)[:, :, 0].astype(np.uint16)
    pictures = [
        Picture(noise(40, 30)),
        Picture(noise(20, 33, 1).astype(np.uint16) * 257, alpha),
        Picture(noise(1, 9)),
    ]
    made = stylist.pictures(pictures)
    assert [p.pixels.shape for p in made] == [(40, 30, 3), (20, 33, 3), (1, 9, 3)]
    assert [str(p.pixels.dtype) for p in made] == ["uint8", "uint16", "uint8"]
    assert made[1].alpha is alpha
    assert made[0].alpha is None


def test_colours_hidden_beneath_transparency_do_not_matter(style, net):
    stylist = Stylist(net, [style], QUICK)
    clear = np.zeros((16, 16), np.uint8)
    one, other = stylist.pictures([Picture(noise(16, 16, seed=s), clear) for s in (1, 2)])
    np.testing.assert_array_equal(one.pixels, other.pixels)


def test_the_style_is_seen_at_the_scale_of_the_picture_and_measured_once_per_scale(style, net):
    stylist = Stylist(net, [style], QUICK)
    seen: list[tuple[int, ...]] = []
    keep = stylist._tensor

    def watch(pixels: np.ndarray, longer: int) -> torch.Tensor:
        tensor = keep(pixels, longer)
        seen.append(tuple(tensor.shape[2:]))
        return tensor

    stylist._tensor = watch  # type: ignore[method-assign]
    stylist.pictures([Picture(noise(16, 64)), Picture(noise(64, 64))])
    assert seen == [(16, 64), (48, 64), (64, 64)]


def test_a_folders_style_is_what_its_pictures_have_in_common(tmp_path, net):
    for seed in (1, 2):
        save(tmp_path / "in" / "deep" / f"{seed}.png", noise(32, 32, seed=seed))
    stylist = Stylist(net, style_files(tmp_path / "in"), QUICK)
    assert len(stylist.sources) == 2
    units = [torch.from_numpy(noise(32, 32, seed=s)).permute(2, 0, 1)[None] for s in (1, 2)]
    expected = style_of(net, [unit / 127.5 - 1 for unit in units])
    torch.testing.assert_close(stylist._style(32).grams, expected.grams, rtol=1e-4, atol=1e-5)


def test_wrong_styles_and_sizes_are_refused(tmp_path, style, net):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.png").write_bytes(b"no picture")
    many = {"photometric": "minisblack", "planarconfig": "contig"}
    tifffile.imwrite(tmp_path / "many.tif", noise(8, 8, 5), **many)
    wrong = {
        "no": "check --style",
        "empty": "no images",
        "bad.png": "style of",
        "many.tif": "5 cha",
    }
    for name, message in wrong.items():
        with pytest.raises(UserError, match=message):
            style_files(tmp_path / name)
    with pytest.raises(UserError, match="--size is 8"):
        Stylist(net, [style], QUICK, size=8)
    half = tmp_path / "half.png"
    half.write_bytes(style.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"style of .*half\.png"):
        Stylist(net, style_files(half), QUICK).pictures([Picture(noise(16, 16))])


def test_the_style_s_own_file_is_never_overwritten(tmp_path, net):
    style = save(tmp_path / "out" / "a.png", noise(24, 32))
    content = save(tmp_path / "a.jpg", noise(16, 16))
    before = style.read_bytes()
    stylist = Stylist(net, [style], QUICK)
    summary = convert_files(
        stylist.pictures, [content], tmp_path / "out", overwrite=True, protected=stylist.sources
    )
    assert "would overwrite the input" in summary.failed[0][1]
    assert style.read_bytes() == before
    summary = convert_files(stylist.pictures, [content], tmp_path / "new")
    assert str(summary) == "1 translated, 0 skipped, 0 failed"
    assert read_picture(tmp_path / "new" / "a.png").pixels.shape == (16, 16, 3)
