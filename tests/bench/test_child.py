"""Measurements in a process of their own."""

import os

import pytest
import torch

from unpaired.bench.child import Memory, alone
from unpaired.errors import UserError

MIB = 1 << 20


def claim(mebibytes: int) -> tuple[int, int, str | None]:
    """Hold so much memory for a moment; peak, threads, and a variable."""
    memory = Memory(torch.device("cpu"))
    torch.ones(mebibytes * MIB // 4)
    return memory.peak() or 0, torch.get_num_threads(), os.environ.get("UNPAIRED_TEST")


def test_memory_that_was_let_go_still_counts_and_nothing_stays_set():
    peak, threads, variable = alone(claim, 200, environment={"UNPAIRED_TEST": "yes"})
    assert 200 * MIB <= peak < 300 * MIB
    assert threads == torch.get_num_threads()
    assert variable == "yes"
    assert "UNPAIRED_TEST" not in os.environ


def test_a_measurement_that_the_system_ended_is_one_line():
    with pytest.raises(UserError, match="want of memory"):
        alone(os._exit, 9, environment={})
