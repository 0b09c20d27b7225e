import os
from pathlib import Path

import numpy as np
import pytest

from unpaired.cache import cache_folder
from unpaired.errors import UserError
from unpaired.evaluation import cached
from unpaired.evaluation.cached import CachedFeatures
from unpaired.evaluation.features import Features, Pictures


class Means:
    """Mean colours as features, and how often they were asked for."""

    def __init__(self, name: str = "means") -> None:
        self.name, self.calls = name, 0

    def __call__(self, pictures: Pictures) -> Features:
        self.calls += 1
        return pictures.mean((1, 2), dtype=np.float64)


def pictures(seed: int, count: int = 3) -> Pictures:
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 6, 3), dtype=np.uint8)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_set_is_seen_once_in_one_process_and_in_the_next(tmp_path: Path) -> None:
    net = Means()
    one = CachedFeatures(net, tmp_path)
    first = one(pictures(0))
    np.testing.assert_array_equal(first, net(pictures(0)))
    net.calls = 0
    np.testing.assert_array_equal(one(pictures(0).copy()), first)
    np.testing.assert_array_equal(CachedFeatures(net, tmp_path)(pictures(0)), first)
    assert net.calls == 0
    assert one.name == net.name


def test_what_is_kept_is_told_apart_by_pixels_shape_and_net(tmp_path: Path) -> None:
    seen = pictures(0)
    changed = seen.copy()
    changed[2, 3, 5, 2] ^= 1
    for different in (changed, seen[:2], seen.reshape(3, 6, 4, 3), seen[::-1]):
        net = Means()
        both = CachedFeatures(net, tmp_path)
        both(seen)
        net.calls = 0
        np.testing.assert_array_equal(both(different), Means()(different))
        assert net.calls == 1
    other = Means("other")
    CachedFeatures(other, tmp_path)(seen)
    assert other.calls == 1


@pytest.mark.parametrize("damage", ["cut", "empty", "zeros", "flipped", "other count"])
def test_a_damaged_file_is_made_again(damage: str, tmp_path: Path) -> None:
    net = Means()
    expected = CachedFeatures(net, tmp_path)(pictures(0))
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    if damage == "other count":
        CachedFeatures(net, tmp_path / "other")(pictures(0, 2))
        (other,) = files(tmp_path / "other")
        other.replace(file)
    else:
        flipped = bytearray(whole)
        flipped[-40] ^= 64
        zeros = whole[:-50] + bytes(50)  # as after a loss of power
        contents = {"cut": whole[:-1], "empty": b"", "zeros": zeros, "flipped": bytes(flipped)}
        file.write_bytes(contents[damage])
    net.calls = 0
    np.testing.assert_array_equal(CachedFeatures(net, tmp_path)(pictures(0)), expected)
    assert net.calls == 1
    assert file.read_bytes() == whole


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    net = Means()
    for _ in range(2):
        found = CachedFeatures(net, tmp_path / "file" / "cache")(pictures(0))
        np.testing.assert_array_equal(found, Means()(pictures(0)))
    assert net.calls == 2


def test_nothing_half_written_is_left_when_the_disk_is_full(tmp_path: Path, monkeypatch) -> None:
    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    found = CachedFeatures(Means(), tmp_path)(pictures(0))
    np.testing.assert_array_equal(found, Means()(pictures(0)))
    assert files(tmp_path) == []


def test_the_folder_stays_within_its_size_and_forgets_what_was_not_used_for_longest(
    tmp_path: Path, monkeypatch
) -> None:
    net = Means()
    keep = CachedFeatures(net, tmp_path)
    keep(pictures(0))
    size = files(tmp_path)[0].stat().st_size
    for seed in (1, 2):
        keep(pictures(seed))
    for path in files(tmp_path):
        os.utime(path, (1000, 1000))
    for seed in (0, 1):  # read again, so 2 is the one not used for longest
        CachedFeatures(net, tmp_path)(pictures(seed))
    monkeypatch.setattr(cached, "LARGEST", 3 * size)
    CachedFeatures(net, tmp_path)(pictures(3))
    assert len(files(tmp_path)) == 3
    net.calls = 0
    for seed in (0, 1, 3):
        CachedFeatures(net, tmp_path)(pictures(seed))
    assert net.calls == 0
    CachedFeatures(net, tmp_path)(pictures(2))
    assert net.calls == 1


def test_memory_holds_the_sets_used_last(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(cached, "REMEMBERED", 2)
    (tmp_path / "file").write_text("no folder: only memory is left")
    net = Means()
    keep = CachedFeatures(net, tmp_path / "file")
    for seed in (0, 1, 0, 2):  # 1 is forgotten
        keep(pictures(seed))
    assert net.calls == 3
    keep(pictures(0))
    keep(pictures(2))
    assert net.calls == 3
    keep(pictures(1))
    assert net.calls == 4


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_name_net_and_picture_and_are_not_kept(
    value: float, tmp_path: Path
) -> None:
    class Broken(Means):
        def __call__(self, pictures: Pictures) -> Features:
            found = super().__call__(pictures)
            found[1, 2] = value
            return found

    keep = CachedFeatures(Broken("broken"), tmp_path)
    for _ in range(2):
        with pytest.raises(UserError, match=r"broken gave .* for 1 of 3 .* picture 2;"):
            keep(pictures(0))
    assert files(tmp_path) == []


def test_the_folder_can_be_moved(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("UNPAIRED_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder("features") == tmp_path / ".cache" / "unpaired" / "features"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder("features") == tmp_path / "x" / "unpaired" / "features"
    monkeypatch.setenv("UNPAIRED_CACHE", str(tmp_path / "u"))
    CachedFeatures(Means())(pictures(0))
    assert [path.parent for path in files(tmp_path)] == [tmp_path / "u" / "features"]


def test_an_empty_set_has_no_vectors(tmp_path: Path) -> None:
    assert CachedFeatures(Means(), tmp_path)(pictures(0, 0)).shape == (0, 3)
