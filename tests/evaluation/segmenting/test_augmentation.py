"""Photos and class maps stay together whatever is done to them."""

import numpy as np
import pytest
import torch

from unpaired.evaluation.segmenting import augmentation
from unpaired.evaluation.segmenting.augmentation import augment


def pair(count: int, height: int = 32, width: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
    """Class maps of large patches, and photos that show the class's number as their brightness."""
    coarse = np.random.default_rng(0).integers(0, 3, (count, height // 16, width // 16))
    maps = torch.from_numpy(coarse.repeat(16, 1).repeat(16, 2).astype(np.uint8))
    return (maps[:, None].float() - 1).repeat(1, 3, 1, 1), maps


@pytest.mark.parametrize("rotate", [False, True])
def test_photo_and_class_map_are_moved_alike(monkeypatch, rotate):
    monkeypatch.setattr(augmentation, "JITTER", 0.0)
    photos, maps = augment(*pair(40), np.random.default_rng(1), rotate)
    assert photos.shape == (40, 3, 32, 48)
    assert maps.dtype == torch.uint8
    shown = (photos[:, 0] + 1).round().to(torch.uint8)
    assert (shown == maps).float().mean() > 0.94  # bilinear photos are between classes at edges
    assert set(maps.unique().tolist()) == {0, 1, 2}


def test_colours_change_but_stay_colours():
    photos, maps = pair(20)
    photos = 0.9 * photos
    changed, _ = augment(photos, maps, np.random.default_rng(1), False)
    assert changed.abs().max() <= 1
    means = changed.mean((2, 3))
    assert means.std(0).min() > 0.01
    assert (means - means.mean(1, keepdim=True)).abs().max() > 0.01  # hues too


@pytest.mark.parametrize("rotate", [False, True])
def test_the_same_numbers_give_the_same_pictures(rotate):
    one, two = (augment(*pair(5), np.random.default_rng(3), rotate) for _ in range(2))
    other = augment(*pair(5), np.random.default_rng(4), rotate)
    assert all(torch.equal(a, b) for a, b in zip(one, two))
    assert not torch.equal(one[0], other[0])


def test_a_picture_with_an_upper_side_keeps_it():
    height = 32
    photos = torch.linspace(1, -1, height).view(1, 1, height, 1).expand(60, 3, height, 48)
    maps = torch.zeros(60, height, 48, dtype=torch.uint8)
    kept, _ = augment(photos, maps, np.random.default_rng(5), False)
    turned, _ = augment(photos, maps, np.random.default_rng(5), True)

    def upright(pictures):
        return (pictures[:, :, :8].mean((1, 2, 3)) > pictures[:, :, -8:].mean((1, 2, 3))).float()

    assert upright(kept).mean() == 1
    assert 0.2 < upright(turned).mean() < 0.8
