"""Several processes on one machine that open the same run at once."""

import threading
import time
from types import SimpleNamespace

import torch

from unpaired.translation import loading
from unpaired.translation.exporting.sessions import threads_of_rank


def test_ranks_that_start_together_export_once_and_say_that_they_wait(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("UNPAIRED_CACHE", str(tmp_path / "cache"))
    (tmp_path / "checkpoint.json").write_text("{}")
    exports, waited = [], []

    def export(checkpoint, place, **options):
        exports.append(place)
        said, end = "", time.monotonic() + 60
        while "waiting for another process" not in said and time.monotonic() < end:
            time.sleep(0.01)
            said += capsys.readouterr().err
        waited.append("waiting for another process" in said)
        place.write_bytes(b"exported")

    monkeypatch.setattr("unpaired.translation.exporting.export.export", export)
    found = []

    def open_it():
        found.append(loading.kept(tmp_path, "x2y", ".onnx").read_bytes())

    ranks = [threading.Thread(target=open_it) for _ in range(4)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    assert found == [b"exported"] * 4
    assert len(exports) == 1
    assert waited == [True]


def test_ranks_of_a_machine_share_its_processors(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert threads_of_rank() is None
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert threads_of_rank() == 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "20")
    assert threads_of_rank() == 1


def test_each_rank_takes_the_gpu_of_its_number(tmp_path, monkeypatch):
    taken = []

    def translator(method, card, device, precision):
        taken.append(device)
        return SimpleNamespace()

    monkeypatch.setattr(loading, "find_checkpoint", lambda source, which: source)
    monkeypatch.setattr("unpaired.training.precision.choose_device", lambda d: torch.device("cuda"))
    monkeypatch.setattr("unpaired.training.checkpoint.load_method", lambda folder: (None, None))
    monkeypatch.setattr("unpaired.translation.network.TorchTranslator", translator)
    for rank in (None, "0", "3"):
        if rank:
            monkeypatch.setenv("LOCAL_RANK", rank)
        loading.load(tmp_path, backend="torch")
    assert taken == [torch.device("cuda"), torch.device("cuda", 0), torch.device("cuda", 3)]
