"""What a run says of itself while it goes."""

import errno
import threading
import time

import pytest
from tensorboard.summary.writer.record_writer import RecordWriter

from unpaired.training.tracking import Tracker


def test_what_the_system_refuses_the_board_is_raised_and_no_thread_prints_it(
    tmp_path, monkeypatch, capsys
):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    printed = []
    monkeypatch.setattr(threading, "excepthook", printed.append)
    tracker = Tracker(tmp_path, 0)
    monkeypatch.setattr(RecordWriter, "write", full)

    def until_raised():
        for step in range(200):
            tracker.write(step, {"loss": 1.0})
            time.sleep(0.02)

    with pytest.raises(OSError, match="No space left"):
        until_raised()
    assert printed == []
    failing = threading.Thread(target=full)  # another's errors are still told
    failing.start()
    failing.join()
    assert len(printed) == 1
