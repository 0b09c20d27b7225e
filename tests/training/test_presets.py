"""What presets promise."""

import pytest
import torch

from tests.training.runs import tiny_config, write_dataset
from unpaired.data.catalog import worldtiles
from unpaired.methods import METHODS
from unpaired.training.checkpoint import read_state
from unpaired.training.config import TrainConfig, with_changes
from unpaired.training.finding import find_checkpoint
from unpaired.training.presets import apply_preset
from unpaired.training.run import train


@pytest.mark.parametrize(("preset", "same"), [("quick", True), ("small", False)])
def test_a_quick_run_stopped_early_is_a_whole_shorter_run(preset, same, tmp_path):
    config = apply_preset(tiny_config(write_dataset(tmp_path / "data")), preset)
    tiny = {"size": 16, "images.load": 16, "settings.filters": 2, "settings.blocks": 1}
    runs = [
        train(with_changes(config, {**tiny, "steps": steps}), tmp_path / str(steps), quiet=True)
        for steps in (4, 8)
    ]
    (_, short), (_, long) = (read_state(find_checkpoint(run, "4")) for run in runs)
    equal = [
        torch.equal(value, long.tensors["ema"][name])
        for name, value in short.tensors["ema"].items()
    ]
    assert all(equal) == same


@torch.no_grad()
def untrained(preset: str, seed: int) -> float:
    """The correlation of real tiles with what a new generator makes of them."""
    config = apply_preset(TrainConfig(settings=METHODS["cyclegan"].Config()), preset)
    torch.manual_seed(seed)
    G = config.settings.make_generator(3, 3, config.size).eval()
    x = torch.from_numpy(worldtiles("terrain-aerial").test_x[:16]).permute(0, 3, 1, 2)
    x = x.float() / 127.5 - 1
    return torch.corrcoef(torch.stack([x.flatten(), G(x).flatten()]))[0, 1].item()


def test_small_starts_the_right_way_up_and_quick_any_way():
    """The figures of docs/troubleshoot.md."""
    small, quick = ([untrained(preset, seed) for seed in range(6)] for preset in ("small", "quick"))
    assert min(small) == pytest.approx(0.67, abs=0.02)
    assert max(small) == pytest.approx(0.92, abs=0.02)
    assert min(quick) == pytest.approx(-0.49, abs=0.02)
    assert max(quick) == pytest.approx(0.42, abs=0.02)
