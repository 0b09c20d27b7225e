"""Steps that are not finite are counted on the device, and tell the same whenever they are read."""

import json
import math

import pytest
import torch

from tests.training.runs import tiny_config, write_dataset
from unpaired.methods import CycleGAN
from unpaired.training import run as module
from unpaired.training.checkpoint import read_state
from unpaired.training.finding import find_checkpoint
from unpaired.training.guard import Guard
from unpaired.training.loop import DivergedError, Loop
from unpaired.training.run import train

GOOD, BAD = torch.tensor(1.0), torch.tensor(torch.inf)


def judge(guard: Guard, step: int, a=GOOD, b=GOOD, norm=GOOD) -> bool:
    return bool(guard.judge(step, {"a": a, "b": b}, [GOOD, norm]))


def test_it_counts_names_and_starts_anew_after_a_good_step():
    guard = Guard(3, torch.device("cpu"))
    assert guard.read() == (0, 0, 0, ["a gradient"])
    assert not judge(guard, 1, a=BAD)
    assert not judge(guard, 2, a=BAD, b=BAD)
    assert guard.read() == (2, 2, 2, ["a", "b"])
    assert judge(guard, 3)
    assert guard.read() == (2, 0, 2, ["a", "b"])
    assert not judge(guard, 4, norm=BAD)
    assert guard.read() == (3, 1, 4, ["a gradient"])


def test_after_as_many_in_a_row_as_it_has_patience_nothing_passes_and_nothing_is_counted():
    guard = Guard(2, torch.device("cpu"))
    judge(guard, 1, a=BAD)
    judge(guard, 2, b=BAD)
    for step in range(3, 9):
        assert not judge(guard, step)
        assert not judge(guard, step, a=BAD)
    assert guard.read() == (2, 2, 2, ["b"])


@pytest.mark.parametrize("look_every", [1, 4, 100])
def test_a_diverging_run_stops_with_the_last_good_state_however_late_the_host_looks(
    look_every, tmp_path, monkeypatch, capsys
):
    """Steps 3 and 6 to 8 are broken, 9 and 10 sound again; the host must look at 5, 6 and 10."""

    class LookingRarely(Loop):
        def __init__(self, *args):
            super().__init__(*args)
            self.look_every = look_every

    calls, losses = [], CycleGAN.generator_losses

    def broken(self, x, y, **made):
        calls.extend([0] * (x.device.type != "meta"))  # there it is only tried whether all fits
        terms = losses(self, x, y, **made)
        if len(calls) == 3 or 6 <= len(calls) <= 8:
            terms["cycle_x"] = terms["cycle_x"] * torch.nan
        return terms

    monkeypatch.setattr(module, "Loop", LookingRarely)
    monkeypatch.setattr(CycleGAN, "generator_losses", broken)
    data = write_dataset(tmp_path / "data")
    config = tiny_config(data, steps=30, patience=3, log_every=6, checkpoint_every=5)
    with pytest.raises(DivergedError) as stop:
        train(config, tmp_path / "run")
    last = find_checkpoint(tmp_path / "run")
    assert str(stop.value).startswith(
        f"cycle_x not finite for 3 steps in a row up to step 8; the last good checkpoint is {last};"
    )
    card, state = read_state(last)
    assert (card.step, state.values["skipped"], state.values["skipped_in_a_row"]) == (5, 1, 0)
    assert "step 3: cycle_x not finite" in capsys.readouterr().err
    lines = [
        json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    assert [(line["step"], line["skipped"]) for line in lines] == [(6, 2)]
    assert math.isfinite(lines[0]["cycle_x"])
