"""One process at a time works in a folder."""

import errno
import fcntl
import time

import pytest

from tests.training.runs import in_process
from unpaired import locks
from unpaired.errors import UserError
from unpaired.locks import HeldError, held
from unpaired.training.folder import lock
from unpaired.translation import loading


def test_who_waits_says_so_once_and_gives_up_in_the_end(tmp_path):
    said = []
    with held(tmp_path, 0.0, pytest.fail):
        began = time.monotonic()
        with pytest.raises(HeldError), held(tmp_path, 0.5, said.append, "waiting"):
            pytest.fail("two hold it")
        assert 0.5 <= time.monotonic() - began < 5
    assert said == ["waiting"]
    with held(tmp_path, 0.0, pytest.fail):
        pass


HOLD = """
import signal, sys
from pathlib import Path
from unpaired.locks import held
with held(Path(sys.argv[1]), 0.0, print):
    print("held", file=sys.stderr, flush=True)
    signal.pause()
"""


def test_a_killed_process_holds_nothing(tmp_path):
    process = in_process(HOLD, tmp_path)
    assert process.stderr.readline() == "held\n"
    with pytest.raises(HeldError), held(tmp_path, 0.0, pytest.fail):
        pytest.fail("two hold it")
    process.kill()
    with held(tmp_path, 20.0, pytest.fail):
        pass
    process.communicate()


def test_a_folder_that_can_t_be_locked_is_worked_in_all_the_same_and_that_is_said(
    tmp_path, monkeypatch
):
    said = []

    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with lock(tmp_path, said.append), lock(tmp_path, said.append):
        assert len(said) == 2
    assert said[0] == (
        f'warning: cannot lock "{tmp_path}": no locks available; see that no other process writes '
        "there"
    )


def test_an_export_that_hangs_elsewhere_is_waited_for_so_long_and_no_longer(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(loading, "PATIENCE", 0.3)
    monkeypatch.setattr(locks, "SECONDS_BETWEEN_LOOKS", 0.05)
    monkeypatch.setenv("UNPAIRED_CACHE", str(tmp_path / "cache"))
    (tmp_path / "checkpoint.json").write_text("{}")

    def export(checkpoint, place, **options):
        with pytest.raises(UserError, match=r"has been exporting to .* for .* minutes; end it if"):
            loading.kept(tmp_path, "x2y", ".onnx")
        place.write_bytes(b"exported")

    monkeypatch.setattr("unpaired.translation.exporting.export.export", export)
    assert loading.kept(tmp_path, "x2y", ".onnx").read_bytes() == b"exported"
    assert capsys.readouterr().err.count("waiting for another process") == 1
