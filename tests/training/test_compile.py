"""`--compile` changes how steps are computed, not what: same losses, same names, same sizes."""

import functools

import pytest
import torch
from torch._dynamo.utils import counters

from tests.training.runs import tiny_config
from tests.training.test_trainer import make_batch, make_trainer, weights
from unpaired.training.config import with_changes
from unpaired.training.trainer import Trainer


@pytest.fixture(params=["eager", pytest.param("inductor", marks=pytest.mark.slow)])
def compiled(request, tmp_path, monkeypatch) -> Trainer:
    """A trainer whose networks are compiled; "eager" traces them and leaves it at that."""
    original = torch.nn.Module.compile
    backend = functools.partialmethod(original, backend=request.param)
    monkeypatch.setattr(torch.nn.Module, "compile", backend)
    torch.compiler.reset()
    counters.clear()
    return make_trainer(with_changes(tiny_config(tmp_path), {"compile": True, "precision": "fp32"}))


def test_compiled_steps_are_the_steps(compiled, tmp_path):
    plain = make_trainer(with_changes(tiny_config(tmp_path), {"precision": "fp32"}))
    for seed in range(2):
        batch = make_batch(seed)
        expected, got = plain.step([batch], 0.0), compiled.step([batch], 0.0)
        for name, loss in expected.losses.items():
            torch.testing.assert_close(got.losses[name], loss, rtol=1e-4, atol=1e-5)
    assert counters["frames"]["ok"] > 0  # something was compiled
    assert weights(compiled).keys() == weights(plain).keys()


def test_translations_are_not_compiled(compiled):
    with compiled.translating() as method:
        for side in (16, 20, 24):
            method.translate(torch.zeros(1, 3, side, side), "x2y")
    assert counters["frames"]["total"] == 0
