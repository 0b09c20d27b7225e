"""A step is queued on the device without one look at what it computed."""

import pytest
import torch
from accelerate import Accelerator

from tests.methods.tiny import TINY, tiny_batch, tiny_method, tiny_settings
from tests.training.waiting import HostWaitsError, never_waits
from unpaired.methods import METHODS
from unpaired.training import trainer as module
from unpaired.training.config import TrainConfig
from unpaired.training.trainer import Step, Trainer

SIZE = 32


def make_trainer(name: str, **changes) -> Trainer:
    """With everything on that a step can do: EMA, history, clipping, accumulation."""
    everything = {"ema": 0.9, "history": 3, "clip": 1.0, "accumulate": 2}
    fields = {"method": name, "steps": 9, "size": SIZE, "precision": "fp32"}
    config = TrainConfig(tiny_settings(name), **{**fields, **everything, **changes})
    method = tiny_method(name, size=SIZE)
    return Trainer(method, config, Accelerator(cpu=True, mixed_precision="no"))


def steps(trainer: Trainer, count: int = 3) -> list[Step]:
    """So many steps, each from its batches on the host, that must not wait."""
    taken = []
    for number in range(count):
        batches = [tiny_batch(size=SIZE, seed=9 * number + k) for k in range(2)]
        with never_waits():
            taken.append(trainer.step([trainer.on_device(b) for b in batches], number / count))
    return taken


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", METHODS)
def test_no_method_makes_the_host_wait_within_a_step(name, precision):
    trainer = make_trainer(name, precision=precision)
    assert all(step.finite for step in steps(trainer))


def test_neither_does_the_scaling_of_fp16_whose_scale_stays_on_the_device(monkeypatch):
    monkeypatch.setattr(module, "choose_precision", lambda *_: torch.float16)
    trainer = make_trainer("simgan")
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**18)  # too much for the first step
    taken = steps(trainer)
    assert [bool(step.finite) for step in taken] == [False, True, True]
    assert trainer.scaler.get_scale() == 2.0**17
    assert trainer.guard.read()[:3] == (1, 0, 1)


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: bool(x.isfinite().all()),
        lambda x: float(x.sum()),
        lambda x: x[x > 0],
        lambda x: x[torch.tensor(1)],
        lambda x: x.cpu(),
        lambda x: x.numpy(),
        lambda x: x.to("cpu"),
        lambda x: torch.tensor([1.0], device=x.device),
    ],
)
def test_the_watch_sees_what_waits(wait):
    with never_waits(), pytest.raises(HostWaitsError):
        wait(torch.arange(3.0))


def test_every_method_has_settings_here():
    assert TINY.keys() == METHODS.keys()
