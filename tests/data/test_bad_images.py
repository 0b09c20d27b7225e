"""Whatever is done to a file, it comes out right, or is refused with a reason."""

import io
import os
import resource
import struct
import threading
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import unpaired.data.picture as module
from tests.data.mutations import (
    as_tiff,
    base,
    chunk,
    lies,
    mutations,
    outcome,
    same,
    saved,
    sound,
    specials,
    tiff_with,
    zero_tail,
)
from tests.training.runs import tiny_config, write_pictures
from tests.translation.fakes import negative
from unpaired.data.check import check_dataset
from unpaired.data.decode import UnreadableImage, measure, probe, read_picture
from unpaired.data.opening import Member
from unpaired.data.wholeness import ADAM7
from unpaired.training.run import train
from unpaired.training.tracking import read_metrics
from unpaired.translation.folder import translate_files


def verdict(bad, folder: Path) -> str:
    folder.mkdir()
    path = bad.write(folder)
    try:
        picture = read_picture(path)
    except UnreadableImage as error:
        if not error.reason or "\n" in error.reason:
            return f"WRONG: refused without a line of reason: {error.reason!r}"
        return "refused" if "refused" in bad.may else f"WRONGLY REFUSED: {error.reason}"
    said = outcome(bad, picture.pixels, picture.alpha)
    assert probe(path) == (picture.pixels.shape[2], str(picture.pixels.dtype))
    return said


@pytest.mark.parametrize("bad", [*sound()][::2], ids=lambda bad: bad.name)
def test_every_kind_of_sound_file_comes_out_right(bad, tmp_path):
    assert verdict(bad, tmp_path / "a") == "right"


@pytest.mark.parametrize("bad", [*lies(), *specials()], ids=lambda bad: f"{bad.kind} {bad.name}")
def test_a_lie_a_bomb_or_no_file_is_refused_at_once(bad, tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert verdict(bad, tmp_path / "a") in ("refused", "other")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 << 10  # KB; a bomb would unpack to a gigabyte


def test_of_a_hundred_damaged_files_none_comes_out_as_what_it_may_not_be(tmp_path):
    said = Counter()
    for number, bad in enumerate(mutations(seed=1, count=200)):
        found = verdict(bad, tmp_path / str(number))
        assert "WRONG" not in found, f"{bad.kind}, {bad.name}: {found}"
        said[found] += 1
    assert said["refused"] > 50
    assert said["right"] > 50


def test_a_png_is_never_another_picture_whichever_bit_flips():
    """Its checksums cover everything."""
    content = saved(Image.fromarray(base()[:6, :5]), "PNG")
    for place in range(len(content) * 8):
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(UnreadableImage):
            read_picture(Member("a.png", bytes(changed)))


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_with_a_tail_of_zeros_is_refused_not_half_grey(progressive):
    content = saved(Image.fromarray(base()), "JPEG", quality=95, progressive=progressive)
    for seed in range(20):
        damaged, _ = zero_tail(content, "JPEG", np.random.default_rng(seed))
        with pytest.raises(UnreadableImage):
            read_picture(Member("a.jpg", damaged))


def test_a_jpeg_of_which_libjpeg_says_that_it_is_corrupt_is_refused():
    content = saved(Image.fromarray(base()).resize((300, 200)), "JPEG", quality=95)
    start = content.index(b"\xff\xda") + 14
    with pytest.raises(UnreadableImage, match="damaged: Corrupt JPEG data"):
        read_picture(Member("a.jpg", content[: start + 300] + content[start + 900 :]))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP"])
def test_of_a_file_not_even_the_last_byte_may_be_missing(format):
    """Of a BMP it may be padding, which no decoder misses."""
    content = saved(Image.fromarray(base()), format)
    assert read_picture(Member("whole", content)).pixels.shape == base().shape
    for missing in (1, 2, len(content) // 2):
        with pytest.raises(UnreadableImage):
            read_picture(Member("cut", content[:-missing]))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_jpegs_are_decoded_to_the_bit_as_pillow_decodes_them(mode, progressive, subsampling, scale):
    big = Image.fromarray(base()).resize((333, 211)).convert(mode)
    content = saved(big, "JPEG", quality=88, progressive=progressive, subsampling=subsampling)
    with Image.open(io.BytesIO(content)) as image:
        image.draft(None, (333 // scale, 211 // scale))
        wanted = np.asarray(image).reshape(image.height, image.width, -1)
    got = read_picture(Member("a.jpg", content), at_least=211 // scale if scale > 1 else None)
    np.testing.assert_array_equal(got.pixels, wanted)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("interlaced", [False, True])
def test_the_rows_of_a_png_are_counted_whatever_their_kind(depth, interlaced):
    """Interlaced ones have seven passes; Pillow doesn't write them, so one is made by hand."""
    for height, width in ((1, 1), (5, 3), (9, 8), (1, 9)):
        pixels = np.arange(height * width, dtype=f">u{depth // 8}").reshape(height, width)
        passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
        parts = [pixels[top::down, left::right] for left, top, right, down in passes]
        rows = b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)
        for cut, whole in ((0, True), (1, False)):
            head = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, interlaced)
            data = zlib.compress(rows[: len(rows) - cut])
            file = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data)
            member = Member("a.png", file + chunk(b"IEND", b""))
            if whole:
                assert np.array_equal(read_picture(member).pixels[:, :, 0], pixels)
            else:
                with pytest.raises(UnreadableImage, match="fewer pixels"):
                    read_picture(member)


def test_premultiplied_alpha_is_undone():
    alpha = np.full((4, 5), 128, np.uint8)
    pixels = np.full((4, 5, 3), (100, 20, 128), np.uint8)
    content = as_tiff(np.dstack([pixels, alpha]), photometric="rgb", extrasamples=["assocalpha"])
    picture = read_picture(Member("a.tif", content))
    assert picture.pixels[0, 0].tolist() == [199, 40, 255]
    assert np.array_equal(picture.alpha, alpha)


def test_a_tiff_whose_strips_are_missing_never_shows_what_lies_in_memory():
    content = tiff_with(as_tiff(base(), photometric="rgb", rowsperstrip=45), 278, 5)
    with pytest.raises(UnreadableImage, match="8 of 9 strips or tiles missing"):
        read_picture(Member("a.tif", content))


def test_tiles_that_were_left_out_on_purpose_are_blank():
    """As in maps and slides, whose empty tiles have no length and no place."""
    file = io.BytesIO()
    seven = np.full((16, 16, 3), 7, np.uint8)
    options = {"shape": (32, 32, 3), "dtype": np.uint8, "tile": (16, 16), "photometric": "rgb"}
    tifffile.imwrite(file, iter([seven, None, seven, seven]), **options)
    pixels = read_picture(Member("a.tif", file.getvalue())).pixels
    assert (pixels[:16, 16:] == 0).all()
    assert (pixels[16:] == 7).all()


def test_fewer_bits_in_a_tiff_fill_the_range(tmp_path):
    values = np.arange(16, dtype=np.uint8).reshape(4, 4)
    content = bytearray(as_tiff(np.zeros((4, 2), np.uint8)))
    offset = tifffile.TiffFile(io.BytesIO(content)).pages[0].dataoffsets[0]
    packed = values[:, ::2] << 4 | values[:, 1::2]
    content[offset : offset + 8] = packed.tobytes()
    four = tiff_with(tiff_with(bytes(content), 258, 4), 256, 4)
    assert np.array_equal(read_picture(Member("a.tif", four)).pixels[:, :, 0], values * 17)


def test_no_ink_is_white_and_all_ink_is_black_with_adobe_s_mark_or_without():
    for bad in sound():
        if "cmyk" in bad.name or "adobe" in bad.name:
            picture = read_picture(Member(bad.name, bad.content))
            assert same(bad, picture.pixels, picture.alpha), bad.name


def test_a_large_file_with_alpha_is_composited_in_bands(monkeypatch):
    whole = read_picture(Member("a.png", next(b.content for b in sound() if "alpha.png" in b.name)))
    before = whole.on_white()
    monkeypatch.setattr(module, "BAND", 100)
    np.testing.assert_array_equal(whole.on_white(), before)


@pytest.mark.parametrize("read", [read_picture, probe, measure])
def test_a_pipe_is_refused_without_waiting_for_a_writer(read, tmp_path):
    os.mkfifo(tmp_path / "a.tif")
    said = []

    def go():
        with pytest.raises(UnreadableImage, match="not a regular file"):
            read(tmp_path / "a.tif")
        said.append(True)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    thread.join(60)
    assert said


@pytest.fixture
def among_good(tmp_path):
    """Forty good pictures, and in X two bad ones."""
    x = write_pictures(tmp_path / "x", 40, 0)
    y = write_pictures(tmp_path / "y", 40, 1)
    os.mkfifo(x / "pipe.tif")
    content = (x / "00.png").read_bytes()
    (x / "zz cut.png").write_bytes(content[: len(content) // 2])
    (x / "again").symlink_to(x)
    return x, y


def test_data_check_names_bad_files_among_good_ones(among_good):
    x, y = among_good
    report = check_dataset(None, x, y)
    said = {Path(name).name: reason for name, reason in report.unreadable}
    assert said["pipe.tif"] == "not a regular file"
    assert "cut short" in said["zz cut.png"] or "zz cut.png" not in said  # held out, perhaps
    assert sum(split.pictures for split in report.splits.values()) in (80, 81)


def test_a_run_skips_bad_files_with_a_line_each_and_goes_on(among_good, tmp_path):
    x, y = among_good
    config = replace(
        tiny_config(x), data=None, x=str(x), y=str(y), steps=12, batch=4, checkpoint_every=50
    )
    run = train(config, tmp_path / "run")
    skipped = (run / "skipped.txt").read_text()
    assert skipped.count("pipe.tif") == 1
    assert skipped.count("zz cut.png") == 1
    assert read_metrics(run)[-1]["step"] == 12


def test_translating_reports_each_bad_file_and_does_the_others(among_good, tmp_path):
    x, _ = among_good
    summary = translate_files(negative(), [x], tmp_path / "out")
    said = {path.name: reason for path, reason in summary.failed}
    assert said == {"pipe.tif": "not a regular file", "zz cut.png": "cut short"}
    assert summary.translated == 40


def test_a_tiff_with_a_layout_that_there_isn_t_is_refused():
    """Found by fuzzing: its rows came out as its channels."""
    content = saved(Image.fromarray(base()), "TIFF")
    with pytest.raises(UnreadableImage):
        read_picture(Member("a.tif", tiff_with(content, 284, 258)))
