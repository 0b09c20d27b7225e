"""Films keep their sound, their times and their length, and are whole or not there."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from tests.translation.fakes import negative
from tests.translation.films import read_film, sound_of, write_film
from tests.translation.tiling.networks import translator
from unpaired.errors import UserError
from unpaired.translation.flicker import Flicker, is_cut
from unpaired.translation.video import Smoothed, translate_video


def ramp(count, height=48, width=64):
    """Grey frames, each a little lighter, with a white square that moves."""
    frames = [np.full((height, width, 3), 20 + 5 * i, np.uint8) for i in range(count)]
    for i, frame in enumerate(frames):
        frame[8:16, 2 * i : 2 * i + 8] = 220
    return frames


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_every_frame_is_translated_and_keeps_its_time_and_the_sound_is_the_same(tmp_path, suffix):
    source = write_film(tmp_path / f"in{suffix}", ramp(12))
    film = translate_video(negative(), source, tmp_path / f"out{suffix}")
    before, times = read_film(source)
    after, new_times = read_film(tmp_path / f"out{suffix}")
    assert film.frames == len(after) == len(before) == 12
    assert [float(t) for t in new_times] == pytest.approx([float(t) for t in times], abs=1e-3)
    for x, y in zip(before, after):
        assert np.abs(255 - x.astype(int) - y).mean() < 4  # the encoder's losses
    assert sound_of(tmp_path / f"out{suffix}") == sound_of(source) != []
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"in{suffix}", f"out{suffix}"]


def test_frames_at_uneven_times_stay_there(tmp_path):
    times = [0, 40, 80, 300, 310, 1000]
    source = write_film(tmp_path / "in.mkv", ramp(6), times=times, sound=None)
    translate_video(negative(), source, tmp_path / "out.mkv")
    assert [round(1000 * t) for t in read_film(tmp_path / "out.mkv")[1]] == times


def test_odd_sides_stay_odd(tmp_path):
    source = write_film(tmp_path / "in.mp4", ramp(3, 47, 65))
    translate_video(negative(), source, tmp_path / "out.mp4")
    assert read_film(tmp_path / "out.mp4")[0][0].shape == (47, 65, 3)


def test_webm_holds_opus_and_says_what_it_cannot_hold(tmp_path):
    source = write_film(tmp_path / "in.mkv", ramp(3), sound="libopus")
    assert translate_video(negative(), source, tmp_path / "out.webm").frames == 3
    source = write_film(tmp_path / "other.mp4", ramp(3))
    with pytest.raises(UserError, match=r"\.webm can't hold the sound \(aac\).*\.mkv"):
        translate_video(negative(), source, tmp_path / "other.webm")
    assert not (tmp_path / "other.webm").exists()


def test_colours_come_back(tmp_path):
    colours = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (250, 250, 250), (5, 5, 5)]
    frames = [np.full((48, 64, 3), colour, np.uint8) for colour in colours]
    source = write_film(tmp_path / "in.mp4", frames, sound=None)
    translate_video(negative(), source, tmp_path / "out.mp4")
    seen, after = read_film(source)[0], read_film(tmp_path / "out.mp4")[0]
    for x, y in zip(seen, after):
        assert np.abs(255 - x.astype(int) - y).max() <= 6
    with av.open(str(tmp_path / "out.mp4")) as film:
        context = film.streams.video[0].codec_context
        assert (context.colorspace, context.color_range) == (1, 1)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing.mp4", "no film at"),
        ("sound.mp4", "has no pictures"),
        ("empty.mp4", "can't be read from its first byte on"),
        ("torn.mp4", "can't be read"),
        ("text.mp4", "can't be read"),
    ],
)
def test_what_is_no_film_is_one_line_and_leaves_nothing(tmp_path, name, said):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no film")
    whole = write_film(tmp_path / "whole.mp4", ramp(6)).read_bytes()
    (tmp_path / "torn.mp4").write_bytes(whole[: len(whole) // 2])
    with av.open(str(tmp_path / "sound.mp4"), "w") as film:
        ear = film.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        film.mux(ear.encode(frame))
        film.mux(ear.encode(None))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match=said) as error:
        translate_video(negative(), tmp_path / name, tmp_path / "out.mp4")
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.iterdir()) == before


def test_nothing_is_overwritten_unasked_and_the_input_never(tmp_path):
    source = write_film(tmp_path / "in.mp4", ramp(3))
    content = source.read_bytes()
    (tmp_path / "link.mp4").symlink_to(source)
    for out in (source, tmp_path / "link.mp4"):
        with pytest.raises(UserError, match="is the input"):
            translate_video(negative(), source, out, overwrite=True)
    (tmp_path / "out.mp4").write_text("mine")
    with pytest.raises(UserError, match="give --overwrite"):
        translate_video(negative(), source, tmp_path / "out.mp4")
    translate_video(negative(), source, tmp_path / "out.mp4", overwrite=True)
    assert source.read_bytes() == content
    for out in (tmp_path / "out.avi", tmp_path / "no" / "out.mp4"):
        with pytest.raises(UserError, match="--out"):
            translate_video(negative(), source, out)


def test_a_failure_in_the_middle_leaves_nothing(tmp_path):
    source = write_film(tmp_path / "in.mp4", ramp(6))

    def stop(done, total):
        assert total == 6
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        translate_video(negative(), source, tmp_path / "out.mp4", on_frame=stop)
    assert [p.name for p in tmp_path.iterdir()] == ["in.mp4"]


MEASURE = """
import resource, sys
from pathlib import Path
from tests.translation.fakes import negative
from unpaired.translation.video import translate_video
translate_video(negative(), Path(sys.argv[1]), Path(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_film(tmp_path):
    peaks = []
    for count in (60, 400):
        frames = [np.full((144, 176, 3), i % 200, np.uint8) for i in range(count)]
        source = write_film(tmp_path / f"{count}.mp4", frames)
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(source), str(tmp_path / f"{count}-out.mp4")],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout))
    assert peaks[1] < 1.1 * peaks[0]  # 340 frames more would be 26 MB decoded, 100 MB in float32


def test_flicker_is_change_where_the_source_stands_still():
    still = np.full((16, 16, 3), 100, np.uint8)
    half = still.copy()
    half[:8] += 20  # moves; not counted
    flicker = Flicker()
    flicker.add(still, np.full((16, 16, 3), 50, np.uint8))
    flicker.add(half, np.full((16, 16, 3), 54, np.uint8))
    flicker.add(half, np.full((16, 16, 3), 54, np.uint8))
    assert flicker.value == pytest.approx((128 * 4 + 256 * 0) / 384)
    assert Flicker().value is None


def test_nothing_is_compared_across_a_cut():
    dark, light = (np.full((16, 16, 3), v, np.uint8) for v in (10, 240))
    assert is_cut(dark, light)
    assert not is_cut(dark, dark + 5)
    flicker = Flicker()
    flicker.add(dark, dark)
    flicker.add(light, light)
    assert flicker.value is None


def lamp(count):
    """A still scene in which something bright comes and goes: it makes instance norm flicker."""
    rng = np.random.default_rng(0)
    scene = np.kron(rng.integers(40, 120, (8, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    frames = [scene.copy() for _ in range(count)]
    for frame in frames[1::2]:
        frame[:16, :16] = 255
    return frames


def test_smoothing_calms_what_norms_make_flicker(tmp_path):
    source = write_film(tmp_path / "in.mp4", lamp(16), sound=None)
    translate = translator("resnet")
    plain = translate_video(translate, source, tmp_path / "plain.mp4").flicker
    calm = translate_video(translate, source, tmp_path / "calm.mp4", smooth=0.9).flicker
    assert plain > 2
    assert calm < plain / 2


def test_a_still_film_does_not_flicker_at_all(tmp_path):
    source = write_film(tmp_path / "in.mp4", [lamp(1)[0]] * 5, sound=None)
    assert translate_video(translator("resnet"), source, tmp_path / "out.mp4").flicker < 0.2


def test_at_a_cut_the_past_is_forgotten(tmp_path):
    frames = lamp(1) * 3 + [255 - lamp(1)[0]] * 3
    source = write_film(tmp_path / "in.mp4", frames, sound=None)
    translate = translator("resnet")
    translate_video(translate, source, tmp_path / "calm.mp4", smooth=0.99)
    translate_video(translate, source, tmp_path / "plain.mp4")
    calm, plain = (read_film(tmp_path / f"{name}.mp4")[0] for name in ("calm", "plain"))
    for a, b in zip(calm, plain):
        assert np.abs(a.astype(int) - b).mean() < 2


def test_an_average_of_statistics_is_exponential():
    smoothed = Smoothed(0.75)
    first, second = torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 4, 4)
    smoothed(0, first)
    mean, variance = smoothed(0, second)
    assert mean.tolist() == [0.25, 0.25]
    assert variance.tolist() == [0, 0]
    smoothed.forget()
    assert smoothed(0, second)[0].tolist() == [1, 1]
    with pytest.raises(UserError, match="--smooth is 1"):
        translate_video(negative(), Path("in.mp4"), Path("out.mp4"), smooth=1)
