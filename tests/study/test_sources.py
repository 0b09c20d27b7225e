"""Pictures from folders and from runs, re-encoded so that only what they show tells them apart."""

import io
import shutil

import numpy as np
import PIL.Image
import pytest

from tests.evaluation.corners import Corners
from tests.study.studies import small_design, write_pictures
from tests.training.runs import tiny_config, write_dataset
from unpaired.errors import UserError
from unpaired.evaluation.instruments import Instruments
from unpaired.evaluation.judging import judge, save
from unpaired.study.assignment import arms_of, make_session
from unpaired.study.create import create_study
from unpaired.study.sources import in_folder, open_sides
from unpaired.study.stimuli import encode_alike, obvious_fake
from unpaired.training.run import train


@pytest.fixture(scope="module")
def evaluated_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    data = write_dataset(folder / "data", train=7, test=4)
    run = train(tiny_config(data, steps=2), folder / "mine", quiet=True)
    save(judge(run, Instruments(Corners())))
    return run


def test_files_of_one_size_are_equally_long_and_hold_nothing_else():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (40, 64, 3), dtype=np.uint8)
    plain = np.full((90, 31, 3), 200, np.uint8)
    files = [encode_alike(pixels, 32) for pixels in (noise, plain)]
    assert len({len(file) for file in files}) == 1
    for file in files:
        with PIL.Image.open(io.BytesIO(file)) as image:
            assert (image.size, image.mode, image.info) == ((32, 32), "RGB", {})


def test_the_middle_square_is_shown_and_not_resampled_if_it_fits():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 3), dtype=np.uint8)
    with PIL.Image.open(io.BytesIO(encode_alike(pixels, 20))) as image:
        assert np.array_equal(np.asarray(image), pixels[:, 6:26])


def test_an_obvious_fake_has_the_pictures_parts_in_no_order():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    fake = obvious_fake(pixels, np.random.default_rng(1))
    assert fake.shape == pixels.shape
    assert not np.array_equal(fake, 255 - pixels[..., [1, 2, 0]])
    assert np.array_equal(np.sort(255 - fake, axis=None), np.sort(pixels, axis=None))


def test_hidden_files_and_other_kinds_are_left_out(tmp_path):
    folder = write_pictures(tmp_path / "a", 3)
    (folder / "notes.txt").write_text("no picture")
    (folder / ".00.png").write_bytes((folder / "00.png").read_bytes())
    (folder / ".thumbs").mkdir()
    (folder / ".thumbs" / "00.png").write_bytes((folder / "00.png").read_bytes())
    assert list(in_folder(folder)) == ["00", "01", "02"]


def test_a_run_brings_its_translations_and_its_own_real_pictures(evaluated_run):
    sides = open_sides([str(evaluated_run)], None, ["x2y", "y2x"])
    assert set(sides) == {"x2y", "y2x"}
    for way, side in sides.items():
        (own,) = side.fakes.values()
        saved = evaluated_run / "translations" / way
        assert sorted(own) == sorted(p.stem for p in saved.iterdir())
        assert len(side.real) > 1
        shapes = {read().shape for read in (*side.real.values(), *own.values())}
        assert len(shapes) == 1
    real = [np.mean([read() for read in side.real.values()]) for side in sides.values()]
    assert real[0] != real[1]  # what is generated x2y is real in Y


def test_both_directions_are_arms_of_their_own_with_their_own_real_pictures(
    evaluated_run, tmp_path
):
    sides = open_sides([str(evaluated_run)], None, ["x2y", "y2x"])
    design = small_design(practice=0, scored=2, attention=1)
    store = create_study(tmp_path / "study", sides, design)
    name = evaluated_run.name
    assert arms_of(store.pictures, design) == [f"{name} x2y", f"{name} y2x"]
    kinds = {p.id: (p.kind, p.arm.split(" ")[-1]) for p in store.pictures}
    for way in ("x2y", "y2x"):
        for trial in make_session(store.pictures, design, f"{name} {way}", 0):
            assert {kinds[trial.left][1], kinds[trial.right][1]} == {way}


@pytest.mark.parametrize(
    ("sources", "real", "ways", "said"),
    [
        ((), "real", ("x2y",), "nothing to judge"),
        (("a={a}", "a={real}"), "real", ("x2y",), 'two sources are called "a"'),
        (("={a}",), "real", ("x2y",), "short plain name"),
        (("a : b={a}",), "real", ("x2y",), "short plain name"),
        (("a\nb={a}",), "real", ("x2y",), "short plain name"),
        (("{a}",), "real", ("x2y",), "is no run; give a folder of pictures as NAME="),
        (("a=missing",), "real", ("x2y",), 'no folder "missing"'),
        (("a={a}",), None, ("x2y",), "nothing real to show; give --real FOLDER"),
        (("a={a}",), "real", ("x2y", "y2x"), "both directions at once come of runs alone"),
        (("a={one}",), "real", ("x2y",), "holds 1 pictures; a study needs 2 or more"),
        (("a={a}",), "missing", ("x2y",), "no folder"),
    ],
)
def test_what_is_missing_or_unclear_is_one_line(tmp_path, sources, real, ways, said):
    places = {
        "a": write_pictures(tmp_path / "a", 3),
        "real": write_pictures(tmp_path / "real", 3),
        "one": write_pictures(tmp_path / "one", 1),
        "missing": tmp_path / "missing",
    }
    given = [source.format(**places) for source in sources]
    with pytest.raises(UserError) as error:
        open_sides(given, real and places[real], ways)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_run_that_was_not_evaluated_says_what_to_do(evaluated_run, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(evaluated_run, bare)
    shutil.rmtree(bare / "translations")
    with pytest.raises(UserError, match="run: unpaired evaluate"):
        open_sides([str(bare)], None, ["x2y"])


def test_a_broken_picture_leaves_nothing_behind(tmp_path):
    real, fake = write_pictures(tmp_path / "real", 14), write_pictures(tmp_path / "a", 14)
    (fake / "07.png").write_bytes(b"no picture")
    sides = open_sides([f"a={fake}"], real, ["x2y"])
    with pytest.raises(UserError, match=r"07\.png"):
        create_study(tmp_path / "study", sides, small_design())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "real"]


def test_a_taken_place_is_left_alone(tmp_path):
    taken = tmp_path / "study"
    taken.mkdir()
    (taken / "mine.txt").write_text("keep")
    real, fake = write_pictures(tmp_path / "real", 14), write_pictures(tmp_path / "a", 14)
    sides = open_sides([f"a={fake}"], real, ["x2y"])
    with pytest.raises(UserError, match="is not empty"):
        create_study(taken, sides, small_design())
    assert (taken / "mine.txt").read_text() == "keep"
