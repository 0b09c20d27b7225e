"""Batches are a pure function of (seed, step, rank), whatever else happens."""

import hashlib
import os
import pickle
import threading
import time
from itertools import islice

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.training.runs import write_dataset, write_pictures
from unpaired.data.batches import AHEAD, Batches, _Steps
from unpaired.data.datasets import open_dataset
from unpaired.data.decode import UnreadableImage
from unpaired.data.domains import Domain
from unpaired.data.files import file_domain
from unpaired.data.images import ImageConfig, prepare, prepare_fixed, resized
from unpaired.data.order import chance, picture_at
from unpaired.errors import UserError


@given(count=st.integers(1, 40), seed=st.integers(0, 9), epoch=st.integers(0, 5))
def test_every_picture_comes_once_per_round(count, seed, epoch):
    for start in (0, count):
        seen = [picture_at(seed, "x", epoch, i, count) for i in range(start, start + count)]
        assert sorted(seen) == list(range(count))


def test_epochs_rounds_domains_and_seeds_have_orders_of_their_own():
    def order(seed=0, domain="x", epoch=0, start=0):
        return tuple(picture_at(seed, domain, epoch, i, 50) for i in range(start, start + 50))

    orders = {order(), order(seed=1), order(domain="y"), order(epoch=1), order(start=50)}
    assert len(orders) == 5


def test_chance_depends_on_every_one_of_its_arguments():
    draws = {
        chance(*a).integers(1 << 60)
        for a in ((0, "x", 0, 0), (1, "x", 0, 0), (0, "y", 0, 0), (0, "x", 1, 0), (0, "x", 0, 1))
    }
    assert len(draws) == 5


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return open_dataset(str(write_dataset(tmp_path_factory.mktemp("d") / "set", train=9)))


def make(data, **changes) -> Batches:
    options = {"size": 16, "batch": 2, "seed": 5, **changes}
    images = options.pop("images", ImageConfig())
    return Batches(data.train_x, data.train_y, images, **options)


def take(batches: Batches, step: int, count: int = 4) -> list[dict[str, torch.Tensor]]:
    return list(islice(batches.from_step(step), count))


def same(a, b) -> bool:
    return all(torch.equal(p[k], q[k]) for p, q in zip(a, b, strict=True) for k in ("x", "y"))


def test_a_batch_is_float32_in_range_and_an_epoch_is_the_larger_domain(data):
    batches = make(data)
    batch = batches.at(0)
    assert batch["x"].shape == (2, 3, 16, 16)
    assert batch["x"].dtype is torch.float32
    assert batch["x"].abs().max() <= 1
    assert batches.steps_per_epoch == 5  # 9 and 7 pictures in batches of 2


def test_a_restart_anywhere_gives_the_same_batches(data):
    assert same(take(make(data), 0, 8)[3:], take(make(data), 3, 5))


@pytest.mark.parametrize("changes", [{"cache_share": 0.0}, {"workers": 2}])
def test_cache_and_workers_change_nothing(changes, data):
    assert same(take(make(data), 2), take(make(data, **changes), 2))


def test_workers_take_nothing_from_the_global_generator(data):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    take(make(data, workers=1), 0, 2)
    assert torch.equal(torch.get_rng_state(), before)


def noise_domain(folder, count: int, channels: int, dtype: str) -> Domain:
    """TIFFs of noise: read alike everywhere."""
    folder.mkdir()
    rng, files = np.random.default_rng(channels), []
    for i in range(count):
        shape = (40 + i, 50 - i, channels)
        pixels = rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
        files.append(folder / f"{i}.tif")
        photometric = "rgb" if channels == 3 else "minisblack"
        tifffile.imwrite(files[-1], pixels.squeeze(), photometric=photometric)
    return file_domain(files, folder, channels, dtype)


@pytest.mark.parametrize(
    ("images", "digest"),
    [
        (ImageConfig(), "9040a16e314782ac"),
        (ImageConfig(mode="crop", rotate=True), "d131773a5178f410"),
        (
            ImageConfig(mode="scale-width", load=36, flip=False, interpolation_y="nearest"),
            "b17429bb7a8458a4",
        ),
    ],
)
@pytest.mark.parametrize("cache", [0.0, 0.25])
def test_the_bytes_of_batches_are_those_of_the_first_version(images, digest, cache, tmp_path):
    """Or runs would not continue as they began."""
    x = noise_domain(tmp_path / "x", 5, 3, "uint8")
    y = noise_domain(tmp_path / "y", 4, 1, "uint16")
    batches = Batches(x, y, images, size=32, batch=2, seed=7, cache_share=cache)
    made = hashlib.sha256()
    for step in range(8):
        batch = batches.at(step)
        assert batch["x"].is_contiguous()
        made.update(batch["x"].numpy().tobytes() + batch["y"].numpy().tobytes())
    assert made.hexdigest()[:16] == digest


def test_seeds_differ(data):
    assert not same(take(make(data), 0), take(make(data, seed=6), 0))


def test_ranks_share_an_epoch_without_overlap(data):
    whole = make(data, batch=4).at(0)
    parts = [make(data, batch=2, rank=r, ranks=2).at(0) for r in (0, 1)]
    for k in ("x", "y"):
        assert torch.equal(torch.cat([p[k] for p in parts]), whole[k])


def broken_domain(bad: set[int], count: int = 6) -> Domain:
    def read(index, at_least=None):
        if index in bad:
            raise UnreadableImage(f"{index}.png", "gone")
        return np.full((16, 16, 3), index * 40, np.uint8)

    return Domain(tuple(f"{i}.png" for i in range(count)), read, 3, "uint8")


def test_a_file_that_breaks_on_the_way_is_said_once_and_the_next_stands_in():
    said: list[tuple[str, str]] = []
    domain = broken_domain({2})
    batches = Batches(
        domain,
        domain,
        ImageConfig(mode="none"),
        size=16,
        batch=6,
        seed=0,
        on_skip=lambda *a: said.append(a),
    )
    values = sorted(round((v + 1) * 127.5) for v in batches.at(0)["x"][:, 0, 0, 0].tolist())
    assert values == [0, 40, 120, 120, 160, 200]
    batches.at(1)
    assert said == [("2.png", "gone")] * 2  # once in each domain


def test_when_nothing_is_left_it_says_so():
    domain = broken_domain(set(range(6)))
    batches = Batches(domain, domain, ImageConfig(mode="none"), size=16, batch=1, seed=0)
    with pytest.warns(UserWarning, match="skipping"), pytest.raises(UserError, match="no readable"):
        batches.at(0)


@pytest.mark.parametrize(
    ("mode", "shape"),
    [("resize-crop", (36, 36)), ("crop", (40, 80)), ("scale-width", (32, 36)), ("none", None)],
)
def test_modes_resize_as_they_say(mode, shape):
    config = ImageConfig(mode=mode).of("x")
    wide = np.zeros((40, 80, 3), np.uint8)
    if shape is None:
        with pytest.raises(
            ValueError, match=r"80 x 40 pixels, but --images\.mode none needs 32 x 32"
        ):
            resized(wide, config, 32)
    else:
        out = resized(wide, config, 32).shape[:2]
        assert out == (shape if mode != "scale-width" else (32, 64))


def test_the_papers_jitter_is_286_for_256():
    assert ImageConfig().load_size(256) == 286
    assert ImageConfig(load=100).load_size(256) == 256


@given(
    h=st.integers(1, 60),
    w=st.integers(1, 60),
    mode=st.sampled_from(["resize-crop", "crop", "scale-width"]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    channels=st.sampled_from([1, 3, 4]),
)
def test_any_picture_gives_a_crop_of_the_size(h, w, mode, dtype, channels):
    config = ImageConfig(mode=mode, rotate=True).of("x")
    pixels = np.random.default_rng(0).integers(0, 255, (h, w, channels)).astype(dtype)
    crop = prepare(resized(pixels, config, 16), config, 16, np.random.default_rng(1))
    assert crop.shape == (16, 16, channels)
    assert crop.dtype == dtype
    assert prepare_fixed(pixels, config, 16).shape == (16, 16, channels)


def test_nearest_keeps_the_colours_of_a_label_map():
    labels = np.random.default_rng(0).choice([0, 100, 200], (20, 20, 1)).astype(np.uint8)
    labels = labels.repeat(3, 2)
    near = resized(labels, ImageConfig(interpolation="nearest").of("x"), 32)
    assert set(np.unique(near)) <= {0, 100, 200}
    assert len(np.unique(resized(labels, ImageConfig().of("x"), 32))) > 3


def test_settings_of_y_override_those_of_x_only_where_given():
    config = ImageConfig(flip=True, load=50, flip_y=False)
    assert config.of("y") == ImageConfig(flip=False, load=50)
    assert config.of("x") == ImageConfig(flip=True, load=50)


def test_flips_happen_half_of_the_time(tmp_path):
    ramp = np.arange(16, dtype=np.uint8)[None, :, None].repeat(16, 0).repeat(3, 2)
    config = ImageConfig(mode="none").of("x")
    flipped = sum(
        prepare(ramp, config, 16, np.random.default_rng(i))[0, 0, 0] == 15 for i in range(400)
    )
    assert 150 < flipped < 250
    assert write_pictures(tmp_path / "p", 1, 0).is_dir()


class Broken:
    """A domain's reader with one bad file; a class, because worker processes are sent it."""

    def __call__(self, index, at_least=None):
        if index == 2:
            raise UnreadableImage("2.png", "gone")
        return np.full((16, 16, 3), index * 40, np.uint8)


class Nothing:
    def __call__(self, index, at_least=None):
        raise UnreadableImage("x.png", "gone")


def with_reader(read, **options) -> Batches:
    domain = Domain(tuple(f"{i}.png" for i in range(6)), read, 3, "uint8")
    return Batches(
        domain, domain, ImageConfig(mode="none"), size=16, batch=3, seed=0, workers=2, **options
    )


class Copied:
    """Says in grey whether it is read in a copy of the process that made it."""

    maker = 0

    def __call__(self, index, at_least=None):
        return np.full((16, 16, 3), 255 if Copied.maker else 0, np.uint8)


def test_workers_are_no_copies_of_this_process(monkeypatch):
    """A copy of a process with threads may stand still or die."""
    monkeypatch.setattr(Copied, "maker", os.getpid())
    assert with_reader(Copied()).at(0)["x"].max() == 1
    assert take(with_reader(Copied()), 0, 1)[0]["x"].max() == -1


def test_what_workers_skip_is_said_once_in_the_calling_process():
    said: list[tuple[str, str]] = []
    taken = take(with_reader(Broken(), on_skip=lambda *a: said.append(a)), 0, 8)
    assert said == [("2.png", "gone")] * 2  # once in each domain
    alone = with_reader(Broken(), on_skip=lambda *_: None)
    assert same(taken, [alone.at(step) for step in range(8)])


def test_an_error_in_a_worker_stays_one_line():
    with pytest.raises(UserError, match="no readable") as caught:
        take(with_reader(Nothing(), on_skip=lambda *_: None), 0, 1)
    assert "\n" not in str(caught.value)


def test_what_workers_need_can_be_sent_to_them(data):
    """They are new processes, which hold nothing of this one."""
    batches = make(data, workers=1, on_skip=lambda *_: None)
    steps = pickle.loads(pickle.dumps(_Steps(batches)))
    batch, skipped = steps[3]
    assert same([batch], [batches.at(3)])
    assert skipped == []
    named = open_dataset("worldtiles:map-aerial").train_x.subset([3, 1])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(named)).read(1), named.read(1))


def counting(reads: list[int], count: int = 40) -> Domain:
    def read(index, at_least=None):
        reads.append(index)
        if index == 3:
            raise UnreadableImage("3.png", "gone")
        return np.full((16, 16, 3), index, np.uint8)

    return Domain(tuple(f"{i}.png" for i in range(count)), read, 3, "uint8")


def batches_of(domain: Domain, **options) -> Batches:
    return Batches(domain, domain, ImageConfig(mode="none"), size=16, batch=1, seed=0, **options)


def until(true) -> bool:
    end = time.monotonic() + 20
    while not true() and time.monotonic() < end:
        time.sleep(0.005)
    return true()


def test_a_few_batches_are_made_ahead_and_no_more():
    reads: list[int] = []
    batches = batches_of(counting(reads), cache_share=0.0, on_skip=lambda *_: None)
    stream = batches.from_step(0)
    next(stream)
    assert until(lambda: len(set(reads)) > 2), "nothing is read ahead"
    time.sleep(0.1)
    assert len(reads) <= 2 * 2 * (AHEAD + 1)
    stream.close()


def test_the_thread_that_reads_ahead_ends_with_the_generator_whose_caller_hears_what_it_skipped():
    where: list[threading.Thread] = []
    domain = counting([])
    batches = batches_of(domain, on_skip=lambda *_: where.append(threading.current_thread()))
    before = set(threading.enumerate())
    stream = batches.from_step(0)
    ahead = list(islice(stream, 40))
    assert set(where) == {threading.current_thread()}
    assert len(where) == 2  # once in each domain
    assert len(set(threading.enumerate()) - before) == 1
    stream.close()
    assert set(threading.enumerate()) == before
    alone = batches_of(domain, on_skip=lambda *_: None)
    assert same(ahead, [alone.at(step) for step in range(40)])


def test_an_error_ahead_comes_after_the_batches_before_it():
    def read(index, at_least=None):
        if len(done) == 3:
            raise KeyError("a defect")
        done.append(index)
        return np.zeros((16, 16, 3), np.uint8)

    done: list[int] = []
    batches = batches_of(Domain(("a", "b", "c"), read, 3, "uint8"), cache_share=0.0)
    stream = batches.from_step(0)
    assert next(stream)["x"].shape == (1, 3, 16, 16)
    with pytest.raises(KeyError, match="a defect"):
        next(stream)
    assert next(stream, None) is None


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_what_is_kept_stays_within_the_budget_and_is_really_kept(workers, monkeypatch):
    """All workers and both domains together: two of five pictures of 5 KB fit."""
    monkeypatch.setattr("unpaired.data.batches.free_memory", lambda: 40 * (1 << 10) * 3)
    shape, reads = (40, 40, 3), []

    def read(index, at_least=None):
        reads.append(index)
        return np.broadcast_to(np.uint8(index), shape)

    domain = Domain(tuple("abcde"), read, 3, "uint8")
    options = {"size": 32, "batch": 5, "seed": 0, "workers": workers, "cache_share": 1 / 3}
    batches = Batches(domain, domain, ImageConfig(mode="crop"), **options)
    for step in range(3):
        batches.at(step)
    kept = [p for s in batches.sources for one in s.cache.values() for p in one.values()]
    budget = 40 * (1 << 10) / max(1, workers)
    assert sum(p.nbytes for p in kept) <= budget
    assert len(kept) == budget // (2 * 4096 + 512)
    assert all(p.base.flags.owndata and p.base.nbytes == p.nbytes for p in kept)
    assert len(reads) == 30 - 2 * len(kept)


def test_how_small_a_jpeg_may_be_decoded_is_a_setting():
    asked = []

    def read(index, at_least=None):
        asked.append(at_least)
        return np.zeros((80, 80, 3), np.uint8)

    domain = Domain(("a",), read, 3, "uint8")
    for changes in ({}, {"oversize": 2.0}, {"mode": "crop"}):
        Batches(domain, domain, ImageConfig(**changes), size=32, batch=1, seed=0).at(0)
    assert asked == [63, 63, 72, 72, None, None]  # 32 * 286 / 256 = 36
    with pytest.raises(UserError, match=r"--images\.oversize is 0\.5; give 1 or more"):
        ImageConfig(oversize=0.5)


def test_a_jpeg_decoded_smaller_stays_near_what_the_whole_shrinks_to(tmp_path):
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (n, n, 3), np.uint8)) for n in (4, 16, 64)]
    mixed = np.mean([n.resize((512, 512)) for n in noise], axis=0).astype(np.uint8)
    Image.fromarray(mixed).save(tmp_path / "a.jpg", quality=92)
    domain = file_domain([tmp_path / "a.jpg"], tmp_path, 3, "uint8")

    def off(load: int, oversize: float) -> float:
        made = []
        for one in (oversize, 99):
            images = ImageConfig(load=load, oversize=one)
            made.append(Batches(domain, domain, images, size=128, batch=1, seed=0).at(0)["x"])
        return (made[0] - made[1]).abs().mean().item() * 127.5

    assert off(143, 2.0) == 0  # decoded whole
    assert 0 < off(143, 1.75) < 1
    assert 0 < off(128, 2.0) < 1


def test_once_all_is_kept_no_thread_is_needed_and_the_batches_go_on():
    domain = counting([], count=6)
    batches = batches_of(domain, on_skip=lambda *_: None)
    stream = batches.from_step(0)
    first = list(islice(stream, 12))
    assert all(source.kept for source in batches.sources)
    batches.make = lambda step: pytest.fail("in a thread") if aside() else make(step)

    def aside() -> bool:
        return threading.current_thread() is not threading.main_thread()

    make = batches_of(domain, on_skip=lambda *_: None).make
    later = list(islice(stream, 12))
    alone = batches_of(domain, on_skip=lambda *_: None)
    assert same(first + later, [alone.at(step) for step in range(24)])
