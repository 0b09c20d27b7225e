import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from threading import Event, Semaphore
from threading import enumerate as enumerate_threads

import numpy as np
import PIL.Image
import pytest
import tifffile

from tests.translation.fakes import negative, noise, save
from unpaired.data.decode import read_picture
from unpaired.errors import UserError
from unpaired.translation import folder, output
from unpaired.translation.folder import translate_files
from unpaired.translation.overlap import THREADS
from unpaired.whole import write_whole


def files(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def test_a_folder_keeps_its_sub_folders_and_every_dot(tmp_path: Path) -> None:
    save(tmp_path / "in/a.1.png", noise(8, 8))
    save(tmp_path / "in/a.2.png", noise(9, 8))
    save(tmp_path / "in/deep/er/b.jpg", noise(20, 17))
    summary = translate_files(negative(), [tmp_path / "in"], tmp_path / "out", batch=2)
    assert str(summary) == "3 translated, 0 skipped, 0 failed"
    assert files(tmp_path / "out") == ["a.1.png", "a.2.png", "deep/er/b.png"]
    np.testing.assert_array_equal(read_picture(tmp_path / "out/a.2.png").pixels, 255 - noise(9, 8))
    assert read_picture(tmp_path / "out/deep/er/b.png").pixels.shape == (20, 17, 3)


def test_images_and_folders_can_be_mixed_and_folders_keep_their_names(tmp_path: Path) -> None:
    save(tmp_path / "one/a.png", noise(8, 8))
    save(tmp_path / "two/a.png", noise(8, 9))
    single = save(tmp_path / "c.png", noise(8, 8))
    out = tmp_path / "out"
    translate_files(negative(), [tmp_path / "one", tmp_path / "two", single], out)
    assert files(out) == ["c.png", "one/a.png", "two/a.png"]


def test_colliding_names_all_survive(tmp_path: Path) -> None:
    sizes = {"a.jpg": 8, "a.png": 9, "a.jpg.png": 10, "B.png": 11, "b.bmp": 12, "c.png": 13}
    for name, side in sizes.items():
        save(tmp_path / "in" / name, noise(side, 8))
    out = tmp_path / "out"
    for expected in ("6 translated, 0 skipped", "0 translated, 6 skipped"):
        assert expected in str(translate_files(negative(), [tmp_path / "in"], out))
        assert len({name.casefold() for name in files(out)}) == 6
        assert {read_picture(p).pixels.shape[0] for p in out.iterdir()} == set(sizes.values())
    assert "a.png.png" in files(out)
    assert "c.png" in files(out)


def test_what_is_done_is_skipped_unless_overwriting(tmp_path: Path) -> None:
    image, out = save(tmp_path / "a.jpg", noise(8, 8)), tmp_path / "out"
    translate_files(negative(), [image], out)
    (out / "a.png").write_bytes(b"kept")
    assert translate_files(negative(), [image], out).skipped == 1
    assert (out / "a.png").read_bytes() == b"kept"
    assert translate_files(negative(), [image], out, overwrite=True).translated == 1
    assert read_picture(out / "a.png").pixels.shape == (8, 8, 3)


def test_a_bad_image_fails_alone_and_says_why(tmp_path: Path) -> None:
    good = save(tmp_path / "in/good.png", noise(8, 8))
    (tmp_path / "in/text.png").write_text("not an image")
    (tmp_path / "in/cut.png").write_bytes(good.read_bytes()[:60])
    tifffile.imwrite(tmp_path / "in/five.tiff", noise(8, 8, 5), planarconfig="contig")
    summary = translate_files(negative(), [tmp_path / "in"], tmp_path / "out", batch=8)
    assert summary.translated == 1
    failed = {path.name: reason for path, reason in summary.failed}
    assert sorted(failed) == ["cut.png", "five.tiff", "text.png"]
    assert "5 channels" in failed["five.tiff"]
    assert all("\n" not in reason for reason in failed.values())
    assert files(tmp_path / "out") == ["good.png"]


def test_what_is_named_and_is_no_picture_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print()")
    save(tmp_path / "photo.dat", noise(8, 8), format="png")  # its content counts
    inputs = [tmp_path / "train.py", tmp_path / "photo.dat"]
    summary = translate_files(negative(), inputs, tmp_path / "out")
    assert [reason for _, reason in summary.failed] == ["no picture of a kind that is read here"]
    assert summary.translated == 1


@pytest.mark.parametrize("link", ["same", "symlink", "hardlink", "folder link", "other case"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_input_is_never_overwritten(tmp_path: Path, link: str, overwrite: bool) -> None:
    image = save(tmp_path / "in/a.png", noise(8, 8))
    before, out = image.read_bytes(), tmp_path / "out"
    if link == "same":
        out = tmp_path / "in"
    elif link == "folder link":
        out.symlink_to(tmp_path / "in", target_is_directory=True)
    else:
        out.mkdir()
        if link == "symlink":
            (out / "a.png").symlink_to(image)
        elif link == "hardlink":
            os.link(image, out / "a.png")
        else:  # a file system without case shows one file under both names
            image = image.rename(tmp_path / "in/A.png")
            os.link(image, out / "A.png")
    summary = translate_files(negative(), [image], out, overwrite=overwrite)
    assert image.read_bytes() == before
    assert summary.translated == 0
    assert "would overwrite the input" in summary.failed[0][1]


def test_an_image_can_be_translated_beside_itself_under_another_suffix(tmp_path: Path) -> None:
    image = save(tmp_path / "a.jpg", noise(8, 8))
    before = image.read_bytes()
    for expected in ("1 translated, 0 skipped", "0 translated, 1 skipped"):
        assert expected in str(translate_files(negative(), [image], tmp_path))
    assert files(tmp_path) == ["a.jpg", "a.png"]
    assert image.read_bytes() == before


def test_writing_into_an_input_folder_is_refused_but_a_folder_inside_it_works(
    tmp_path: Path,
) -> None:
    save(tmp_path / "in/a.png", noise(8, 8))
    with pytest.raises(UserError, match="is an input folder"):
        translate_files(negative(), [tmp_path / "in"], tmp_path / "in")
    for expected in ("1 translated, 0 skipped", "0 translated, 1 skipped"):
        summary = translate_files(negative(), [tmp_path / "in"], tmp_path / "in/out")
        assert expected in str(summary)
    assert files(tmp_path / "in") == ["a.png", "out/a.png"]


def test_alpha_orientation_and_profile(tmp_path: Path) -> None:
    pixels = np.dstack([noise(10, 12), noise(10, 12, 1)])
    save(tmp_path / "in/alpha.webp", pixels, lossless=True, exact=True)
    exif = PIL.Image.Exif()
    exif[274] = 6
    save(tmp_path / "in/turned.png", noise(10, 12), exif=exif, icc_profile=b"profile")
    translate_files(negative(), [tmp_path / "in"], tmp_path / "out")
    alpha = read_picture(tmp_path / "out/alpha.png").alpha
    np.testing.assert_array_equal(alpha, pixels[..., 3])
    with PIL.Image.open(tmp_path / "out/turned.png") as turned:
        assert turned.size == (10, 12)
        assert 274 not in turned.getexif()
        assert "icc_profile" not in turned.info
        np.testing.assert_array_equal(np.asarray(turned), 255 - np.rot90(noise(10, 12), -1))


@pytest.mark.parametrize(
    ("channels", "dtype", "alpha", "format", "name"),
    [
        (3, "uint8", False, None, "a.png"),
        (1, "uint8", True, None, "a.png"),
        (1, "uint16", False, None, "a.png"),
        (1, "uint16", True, None, "a.tif"),
        (3, "uint16", False, None, "a.tif"),
        (3, "uint16", True, None, "a.tif"),
        (5, "uint8", False, None, "a.tif"),
        (1, "uint8", False, "tif", "a.tif"),
        (3, "uint8", True, "webp", "a.webp"),
        (3, "uint8", False, "bmp", "a.bmp"),
        (3, "uint8", True, "tif", "a.tif"),
    ],
)
def test_every_kind_of_picture_comes_back_as_it_was_written(
    tmp_path: Path, channels: int, dtype: str, alpha: bool, format: output.Format, name: str
) -> None:
    pixels = noise(8, 9, channels).astype(dtype) * (257 if dtype == "uint16" else 1)
    mask = pixels[:, :, 0].copy() if alpha else None
    if format == "webp":
        mask = np.maximum(pixels[:, :, 0], 1)  # WebP drops colours under full transparency
    picture = output.Picture(pixels, mask)
    suffix = output.choose_format(picture, format)
    path = tmp_path / f"a.{suffix}"
    assert path.name == name
    write_whole(path, output.encode(picture, suffix))
    back = read_picture(path)
    np.testing.assert_array_equal(back.pixels, pixels)
    assert (back.alpha is None) == (mask is None)
    if mask is not None:
        np.testing.assert_array_equal(back.alpha, mask)


def test_jpeg_is_close_and_refuses_alpha(tmp_path: Path) -> None:
    smooth = np.repeat(np.arange(16, dtype=np.uint8)[:, None, None] * 15, 16, axis=1)
    save(tmp_path / "in/a.png", smooth)
    save(tmp_path / "in/b.png", np.dstack([noise(8, 8), noise(8, 8, 1)]))
    summary = translate_files(negative(), [tmp_path / "in"], tmp_path / "out", format="jpg")
    assert "alpha" in summary.failed[0][1]
    assert files(tmp_path / "out") == ["a.jpg"]
    back = read_picture(tmp_path / "out/a.jpg").pixels.astype(int)
    assert np.abs(back - (255 - smooth.astype(int))).max() < 12


def test_wrong_use_is_one_line(tmp_path: Path) -> None:
    image = save(tmp_path / "in/a.png", noise(8, 8))
    (tmp_path / "empty").mkdir()
    cases: list[tuple[list[Path], Path, dict[str, object], str]] = [
        ([tmp_path / "nowhere"], tmp_path / "out", {}, "no image or folder"),
        ([tmp_path / "empty"], tmp_path / "out", {}, "no images in"),
        ([], tmp_path / "out", {}, "nothing to translate"),
        ([image], image, {}, "is a file"),
        ([image], tmp_path / "out", {"batch": 0}, "--batch"),
        ([image], tmp_path / "out", {"direction": "up"}, "--direction"),
        ([image], tmp_path / "out", {"format": "gif"}, "--format"),
        ([image], image / "out", {}, "cannot write"),
    ]
    for inputs, out, options, message in cases:
        with pytest.raises(UserError, match=message) as error:
            translate_files(negative(), inputs, out, **options)  # type: ignore[arg-type]
        assert "\n" not in str(error.value)
        assert not (tmp_path / "out").exists()


def test_a_full_disk_ends_the_run_in_one_line_and_leaves_only_whole_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(3):
        save(tmp_path / f"in/{i}.png", noise(8, 8, seed=i))
    real, room = Path.write_bytes, Semaphore(1)

    def full(path: Path, content: bytes) -> int:
        if not room.acquire(blocking=False):
            real(path, content[:10])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"no space left.*the 1 images written"):
        translate_files(negative(), [tmp_path / "in"], tmp_path / "out")
    (whole,) = files(tmp_path / "out")
    read_picture(tmp_path / "out" / whole)


def test_after_a_full_disk_nothing_more_is_translated_and_all_that_was_written_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(60):
        save(tmp_path / f"in/{i:02}.png", noise(8, 8, seed=i))
    real = write_whole

    def full(path: Path, content: bytes) -> None:
        if path.name == "05.png":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, content)

    monkeypatch.setattr(folder, "write_whole", full)
    translator = negative()
    with pytest.raises(UserError, match="no space left") as error:
        translate_files(translator, [tmp_path / "in"], tmp_path / "out")
    written = len(files(tmp_path / "out"))
    assert f"the {written} images written" in str(error.value)
    assert len(translator.method.seen) <= 6 + 2 * THREADS + 1


def test_reading_translating_and_writing_overlap_and_the_summary_keeps_the_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for the next picture's step before it; one after the other, that never comes."""
    for i in range(6):
        save(tmp_path / f"in/{i}.png", noise(8, 8, seed=i))
    (tmp_path / "in/3.png").write_bytes(b"broken")
    read, translated = [Event() for _ in range(6)], [Event() for _ in range(6)]
    translator = negative()
    real_read, real_write = read_picture, write_whole
    real_translate = translator.method.translate

    def reading(path: Path, span: None = None) -> output.Picture:
        picture = real_read(path)
        read[int(path.stem)].set()
        return picture

    def translating(images, direction):  # type: ignore[no-untyped-def]
        number = len(translator.method.seen)
        assert number or read[1].wait(20), "the next is not read meanwhile"
        translated[number].set()
        return real_translate(images, direction)

    def writing(path: Path, content: bytes) -> None:
        if path.stem == "0":
            assert translated[1].wait(20), "the next is not translated meanwhile"
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        real_write(path, content)

    monkeypatch.setattr(folder, "read_picture", reading)
    monkeypatch.setattr(folder, "write_whole", writing)
    monkeypatch.setattr(translator.method, "translate", translating)
    before = set(enumerate_threads())
    summary = translate_files(translator, [tmp_path / "in"], tmp_path / "out")
    assert str(summary) == "4 translated, 0 skipped, 2 failed"
    assert {path.name for path, _ in summary.failed} == {"0.png", "3.png"}
    assert files(tmp_path / "out") == ["1.png", "2.png", "4.png", "5.png"]
    assert set(enumerate_threads()) == before


def test_no_more_pixels_are_held_than_agreed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(30):
        save(tmp_path / f"in/{i:02}.png", noise(20, 20, seed=i))
    monkeypatch.setattr("unpaired.translation.overlap.PIXELS", 3 * 400)
    monkeypatch.setattr("unpaired.translation.overlap.THREADS", 4)
    translator, begun = negative(), []
    real_read, real_translate = read_picture, translator.method.translate
    ahead = []

    def reading(path: Path, span: None = None) -> output.Picture:
        begun.append(path)
        return real_read(path)

    def translating(images, direction):  # type: ignore[no-untyped-def]
        ahead.append(len(begun) - len(translator.method.seen))
        return real_translate(images, direction)

    monkeypatch.setattr(folder, "read_picture", reading)
    monkeypatch.setattr(translator.method, "translate", translating)
    assert translate_files(translator, [tmp_path / "in"], tmp_path / "out").translated == 30
    assert 1 < max(ahead) <= 4


def test_ctrl_c_ends_it_with_whole_files_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(40):
        save(tmp_path / f"in/{i:02}.png", noise(30, 30, seed=i))
    translator = negative()
    real = translator.method.translate

    def translating(images, direction):  # type: ignore[no-untyped-def]
        if len(translator.method.seen) == 9:
            raise KeyboardInterrupt
        return real(images, direction)

    monkeypatch.setattr(translator.method, "translate", translating)
    before = set(enumerate_threads())
    with pytest.raises(KeyboardInterrupt):
        translate_files(translator, [tmp_path / "in"], tmp_path / "out")
    assert set(enumerate_threads()) == before
    written = files(tmp_path / "out")
    assert len(written) <= 9
    for name in written:
        np.testing.assert_array_equal(
            read_picture(tmp_path / "out" / name).pixels,
            255 - read_picture(tmp_path / "in" / name).pixels,
        )


def test_a_killed_write_leaves_no_file_under_the_final_name(tmp_path: Path) -> None:
    program = """
        import os, signal, sys
        from pathlib import Path
        from unpaired.whole import write_whole
        def stop(self, content):
            with open(self, "wb") as file:
                file.write(content[:10])
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
        Path.write_bytes = stop
        write_whole(Path(sys.argv[1]), b"x" * 100)
    """
    path = tmp_path / "a.png"
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
    assert len(files(tmp_path)) == 1
    write_whole(path, b"whole")
    assert files(tmp_path) == ["a.png"]


def test_progress_is_told(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / f"in/{i}.png", noise(8, 8))
    told: list[tuple[int, int]] = []
    translate_files(
        negative(), [tmp_path / "in"], tmp_path / "out", on_done=lambda a, b: told.append((a, b))
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_same_sizes_share_a_batch_and_many_sizes_do_not_pile_up(tmp_path: Path) -> None:
    for i in range(5):
        save(tmp_path / f"in/{i}.png", noise(16, 16, seed=i))
    for i in range(9):
        save(tmp_path / f"in/x{i}.png", noise(16, 20 + 4 * i))
    translator = negative()
    assert (
        translate_files(translator, [tmp_path / "in"], tmp_path / "out", batch=2).translated == 14
    )
    assert [shape[0] for shape in translator.method.seen].count(2) == 2
    assert files(tmp_path / "out") == files(tmp_path / "in")


def test_without_memory_for_a_batch_images_go_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = negative()
    real = translator.method.translate

    def scarce(images, direction):  # type: ignore[no-untyped-def]
        if len(images) > 1 or images.shape[3] > 16:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return real(images, direction)

    monkeypatch.setattr(translator.method, "translate", scarce)
    for i in range(2):
        save(tmp_path / f"in/{i}.png", noise(16, 16, seed=i))
    save(tmp_path / "in/large.png", noise(16, 64))
    summary = translate_files(translator, [tmp_path / "in"], tmp_path / "out", batch=2)
    assert summary.translated == 2
    assert summary.failed == [(tmp_path / "in/large.png", "not enough memory for 64 x 16 pixels")]
