"""Precision and device are what was asked for, or an error says why not."""

import pytest
import torch

from unpaired.errors import UserError
from unpaired.training.precision import autocast, choose_device, choose_precision

CPU = torch.device("cpu")


def test_auto_takes_bf16_exactly_on_cpus_that_compute_in_it(monkeypatch):
    for has, expected in ((True, torch.bfloat16), (False, None)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has=has: has)
        assert choose_precision("auto", CPU) is expected


def test_explicit_requests_are_kept():
    assert choose_precision("fp32", CPU) is None
    assert choose_precision("bf16", CPU) is torch.bfloat16
    assert choose_precision("fp16", torch.device("cuda")) is torch.float16


def test_fp16_on_a_cpu_is_refused():
    with pytest.raises(UserError, match="bf16 or fp32"):
        choose_precision("fp16", CPU)


@pytest.mark.parametrize("name", ["nonsense", "cuda:99:1", ""])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(UserError, match="--device"):
        choose_device(name)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="this machine has an accelerator")
def test_a_missing_accelerator_is_refused_and_auto_is_the_cpu():
    assert choose_device("auto") == CPU
    with pytest.raises(UserError, match="finds no such device"):
        choose_device("cuda")


def test_autocast_computes_in_the_dtype_and_float32_is_untouched():
    a = torch.ones(2, 2)
    with autocast(CPU, torch.bfloat16):
        assert (a @ a).dtype is torch.bfloat16
    with autocast(CPU, None):
        assert (a @ a).dtype is torch.float32
