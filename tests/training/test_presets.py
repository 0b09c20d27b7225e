"""What presets promise."""

import pytest
import torch

from tests.training.runs import tiny_config, write_dataset
from unpaired.training.checkpoint import read_state
from unpaired.training.config import with_changes
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
