import os
import sys

import pytest

from unpaired.translation.overlap import Overlap


@pytest.mark.skipif(sys.platform != "linux", reason="only there threads have a priority each")
def test_threads_give_way_to_those_that_compute_and_the_caller_does_not() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with Overlap[str]() as overlap:
        overlap.submit("", 0, os.getpriority, os.PRIO_PROCESS, 0)
        assert overlap.tasks[0].future.result() == min(19, before + 5)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
