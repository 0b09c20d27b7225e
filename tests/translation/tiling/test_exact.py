"""In pieces or at once: the same numbers."""

import gc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.translation.tiling.networks import CONFIGS, translator
from unpaired.data.decode import Picture
from unpaired.errors import UserError
from unpaired.networks.blocks import BlurHalving, InstanceNorm, ReflectionPad, SmoothDoubling
from unpaired.translation.tiling.exact import Exact, Gathered, can_be_tiled
from unpaired.translation.tiling.fields import Pointwise, strips
from unpaired.translation.tiling.kept import Shelf, Tee
from unpaired.translation.tiling.large import exactly
from unpaired.translation.tiling.room import disk_needed
from unpaired.translation.tiling.sources import Held

CPU = torch.device("cpu")


class Given:
    """A tensor as a field, which refuses rows that it hasn't got."""

    work = 0.0
    parents = ()

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held
        self.channels, self.height, self.width = held.shape[1:]

    def rows(self, top: int, bottom: int) -> torch.Tensor:
        assert 0 <= top < bottom <= self.height
        return self.held[:, :, top:bottom]


@torch.inference_mode()
def in_pieces(network, x, memory=0.0, strip=1.0, folder=None):
    run = Exact(Shelf(memory, folder, CPU), torch.float32, strip=strip)
    result = run(network, Given(x))
    return torch.cat([rows for _, rows in strips(result, run.strip_height(result))], 2), run


@pytest.mark.parametrize("memory", [0.0, 1e9], ids=["on disk", "in memory"])
@pytest.mark.parametrize("name", CONFIGS)
def test_every_network_gives_what_one_pass_gives(name, memory, tmp_path):
    network = translator(name).method.G
    x = torch.rand(1, 3, 112, 80, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.inference_mode():
        whole = network(x)
    made, run = in_pieces(network, x, memory, folder=tmp_path)
    assert run.strip_height(Given(x)) == 8  # fourteen pieces, not one
    assert whole.std() > 0.05  # no flat grey that anything would equal
    assert made.shape == whole.shape
    assert (made - whole).abs().max() <= 1e-4
    assert list(tmp_path.iterdir()) == []  # what was kept had no name


@settings(max_examples=80, deadline=None)
@given(
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    height=st.integers(9, 40),
    rows=st.integers(1, 4),
    kind=st.sampled_from(["conv", "transposed", "reflect", "smooth"]),
)
def test_any_layer_in_pieces_of_any_height(kernel, stride, padding, height, rows, kind):
    torch.manual_seed(0)
    padding = min(padding, kernel - 1)
    if kind == "conv":
        layer = nn.Conv2d(2, 3, kernel, stride, padding)
    elif kind == "transposed":
        layer = nn.ConvTranspose2d(2, 3, kernel, stride, padding, output_padding=stride - 1)
    elif kind == "reflect":
        layer = nn.Sequential(ReflectionPad(kernel), nn.Upsample(scale_factor=2))
    else:
        layer = nn.Sequential(BlurHalving(2), SmoothDoubling(), nn.Conv2d(2, 2, kernel))
    x = torch.randn(1, 2, height, 11)
    run = Exact(Shelf(0, None, CPU), torch.float32)
    with torch.inference_mode():
        field = run(layer, Given(x))
        made = torch.cat([piece for _, piece in strips(field, rows)], 2)
        assert torch.allclose(made, layer(x), atol=1e-5)


class Counted(Given):
    """Counts how often each row was asked for."""

    def __init__(self, held: torch.Tensor) -> None:
        super().__init__(held)
        self.asked = np.zeros(self.height, int)

    def rows(self, top: int, bottom: int) -> torch.Tensor:
        self.asked[top:bottom] += 1
        return super().rows(top, bottom)


@pytest.mark.parametrize("up", [False, True])
def test_what_leads_to_a_padded_kernel_is_computed_once_a_sweep(up):
    x = Counted(torch.rand(1, 2, 50, 9))
    network = nn.Sequential(ReflectionPad(3), nn.Conv2d(2, 2, 7), ReflectionPad(1))
    field = Exact(Shelf(0, None, CPU), torch.float32).apply(network, x)
    with torch.inference_mode():
        made = list(strips(field, 8, up=up))
        whole = network(x.held)
    assert torch.allclose(torch.cat([rows for _, rows in sorted(made)], 2), whole, atol=1e-5)
    assert (x.asked[12:-12] == 1).all()  # mirrored rows at the edges are asked for again


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("memory", [0, 1e9])
def test_a_tee_keeps_its_first_sweep_even_over_what_it_is_computed_from(up, memory, tmp_path):
    kept = Shelf(memory, tmp_path, CPU).place(Given(x := torch.rand(1, 2, 30, 9)), torch.float32)
    kept.write(0, x)
    tee = Tee(Pointwise(kept, lambda rows: rows + 1), kept)
    for top, rows in strips(tee, 7, up=up):
        assert torch.equal(rows, x[:, :, top : top + 7] + 1)
    assert torch.equal(tee.rows(0, 30), x + 1)
    assert torch.equal(tee.rows(4, 11), x[:, :, 4:11] + 1)


def test_a_tee_may_be_asked_for_rows_in_any_order(tmp_path):
    x = Counted(torch.rand(1, 2, 30, 9))
    tee = Tee(x, Shelf(0, tmp_path, CPU).place(x, torch.float32))
    for top, bottom in ((10, 14), (12, 20), (5, 11), (7, 9), (28, 30), (0, 30)):
        assert torch.equal(tee.rows(top, bottom), x.held[:, :, top:bottom])
    assert (x.asked == 1).all()


def test_what_is_cheap_is_computed_again_and_what_is_dear_is_kept():
    """First and last layers see every pixel but multiply little; the middle is small."""
    network = translator("resnet", filters=64).method.G
    x = torch.rand(1, 3, 64, 64) * 2 - 1
    _, spilling = in_pieces(network, x, strip=1e9)
    _, holding = in_pieces(network, x, memory=1e9, strip=1e9)
    assert spilling.shelf.spilled > 0
    assert holding.shelf.spilled == 0
    full = 64 * 64 * 64 * 4  # a map of the first layer
    assert spilling.shelf.spilled <= 4 * full / 4  # three of the middle at once, never the first


def test_what_was_kept_is_given_back():
    shelf = Shelf(1e9, None, CPU)
    run = Exact(shelf, torch.float32)
    with torch.inference_mode():
        result = run(translator("unet").method.G, Given(torch.rand(1, 3, 64, 64)))
    assert shelf.memory < 1e9
    del result
    gc.collect()
    assert shelf.memory == 1e9


def test_statistics_of_strips_are_those_of_the_whole():
    x = torch.randn(1, 5, 90, 40, dtype=torch.float64) * 3 + 100
    gathered = Gathered(5)
    for top in (0, 7, 50):
        gathered.add(x[:, :, top : {0: 7, 7: 50, 50: 90}[top]].float())
    mean, variance = gathered.statistics(CPU)
    assert torch.allclose(mean.double(), x.mean((0, 2, 3)), rtol=1e-6)
    assert torch.allclose(variance.double(), x.var((0, 2, 3), correction=0), rtol=1e-5)


def test_kept_rows_come_back_bit_for_bit(tmp_path):
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(1, 6, 30, 17).to(dtype)
        for memory in (0, 1e9):
            kept = Shelf(memory, tmp_path, CPU).place(Given(x), dtype)
            for top in (0, 10, 20):
                kept.write(top, x[:, :, top : top + 10])
            assert torch.equal(kept.rows(3, 28), x[:, :, 3:28])


def test_a_full_disk_is_said_with_its_remedy(tmp_path, monkeypatch):
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 100, 0))
    with pytest.raises(UserError, match="make room, set TMPDIR to a larger disk, or give --tiles"):
        in_pieces(translator("resnet").method.G, torch.rand(1, 3, 64, 64), folder=tmp_path)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("memory", [0.0, 5e5], ids=["on disk", "partly"])
def test_the_disk_that_is_needed_is_known_before_the_first_sweep(name, memory, tmp_path):
    network = translator(name).method.G
    x = torch.rand(1, 3, 112, 80) * 2 - 1
    needed = disk_needed(network, Given(x), torch.float32, memory)
    _, run = in_pieces(network, x, memory, folder=tmp_path)
    assert needed == run.shelf.spilled
    assert needed > 0 or memory or name != "resnet"


def test_too_little_disk_is_said_before_the_first_sweep(tmp_path, monkeypatch):
    picture = Held(Picture(np.zeros((96, 96, 3), np.uint8)))
    translate, sweeps = translator("resnet"), []
    needed = disk_needed(translate.method.G, Given(torch.empty(1, 3, 96, 96)), torch.float32, 0)
    monkeypatch.setattr(Shelf, "free", lambda _: needed - 1)  # any one map would fit
    with pytest.raises(UserError, match="make room, set TMPDIR to a larger"):
        list(exactly(translate, picture, memory=0, folder=tmp_path, on_sweep=sweeps.append))
    assert not sweeps
    monkeypatch.setattr(Shelf, "free", lambda _: needed)
    assert list(exactly(translate, picture, memory=0, folder=tmp_path))


def test_a_layer_that_nobody_described_is_refused():
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.AdaptiveAvgPool2d(1))
    assert not can_be_tiled(network)
    with pytest.raises(UserError, match="AdaptiveAvgPool2d can't be run in pieces"):
        in_pieces(network, torch.rand(1, 3, 16, 16))
    assert can_be_tiled(nn.Sequential(InstanceNorm(3), nn.ReLU()))


def test_sweeps_are_counted():
    seen = []
    run = Exact(Shelf(1e9, None, CPU), torch.float32, on_sweep=seen.append)
    with torch.inference_mode():
        run(translator("resnet").method.G, Given(torch.rand(1, 3, 32, 32)))
    assert seen == list(range(1, run.sweeps + 1))
    assert run.sweeps == 3 + 2 * 2 + 2  # a norm each
    assert np.isfinite(run.sweeps)
