"""Services that hear of a run: nothing that happens there may hold or end the training."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest

from tests.training.runs import tiny_config, write_dataset
from unpaired.cli import run as command
from unpaired.errors import UserError
from unpaired.training import outside, run, services
from unpaired.training.config import read_yaml
from unpaired.training.outside import FAILURES, Outside
from unpaired.training.services import flat


class Fake:
    """A service that remembers, and fails or hangs as told."""

    def __init__(self, *given, fails=(), hangs=()):
        self.given, self.fails, self.hangs = given, set(fails), set(hangs)
        self.heard, self.threads, self.go_on = [], set(), threading.Event()

    def _do(self, what, *heard):
        self.threads.add(threading.current_thread())
        if what in self.hangs:
            self.go_on.wait(30)
        if what in self.fails:
            raise ConnectionError("the network\nis gone")
        self.heard.append((what, *heard))

    def start(self, known):
        self._do("start", known)
        return known or {"id": "new"}

    def metrics(self, step, values):
        self._do("metrics", step, values)

    def picture(self, step, pixels):
        self._do("picture", step, pixels.shape)

    def finish(self):
        self._do("finish")


def test_everything_is_told_in_order_by_one_thread_of_its_own():
    fake, said = Fake(), []
    one = Outside("fake", fake, said.append)
    assert one.start(None) == {"id": "new"}
    one.metrics(1, {"loss": 0.5})
    one.picture(1, np.zeros((4, 5, 3), np.uint8))
    one.close()
    told = [("metrics", 1, {"loss": 0.5}), ("picture", 1, (4, 5, 3)), ("finish",)]
    assert fake.heard == [("start", None), *told]
    assert fake.threads != {threading.current_thread()}
    assert len(fake.threads) == 1
    assert said == []


def test_a_service_that_fails_again_and_again_hears_no_more_and_that_is_said_twice():
    fake, said = Fake(fails=["metrics", "finish"]), []
    one = Outside("fake", fake, said.append)
    one.start(None)
    for step in range(20):
        one.metrics(step, {})
    one.close()
    assert said[0] == "warning: fake: ConnectionError: the network; training goes on"
    assert f"{FAILURES} times in a row" in said[1]
    assert "may not be complete" in said[2]
    assert len(said) == 3


def test_one_failure_is_said_and_what_comes_after_is_told():
    fake, said = Fake(fails=["picture"]), []
    one = Outside("fake", fake, said.append)
    one.start(None)
    for step in range(FAILURES):
        one.picture(step, np.zeros((1, 1, 3)))
        one.metrics(step, {})
    one.close()
    assert [kind for kind, *_ in fake.heard] == ["start", *["metrics"] * FAILURES, "finish"]
    assert len(said) == FAILURES


def test_a_service_that_hangs_holds_nobody(monkeypatch):
    monkeypatch.setattr(outside, "SECONDS_TO_FINISH", 0.1)
    monkeypatch.setattr(outside, "WAITING", 5)
    fake, said = Fake(hangs=["metrics"]), []
    one = Outside("fake", fake, said.append)
    one.start(None)
    for step in range(50):
        one.metrics(step, {})
    one.close()
    assert "too slow; some lines are left out" in said[0]
    assert "not taken everything within 0.1 s" in said[1]
    assert "too slow for 4" in said[2]  # 44 or 45: the thread may have taken one
    fake.go_on.set()


def test_a_service_that_does_not_begin_is_the_users_to_mend(monkeypatch):
    with pytest.raises(UserError, match=r"--tracker wandb can't begin: ConnectionError: the net"):
        Outside("wandb", Fake(fails=["start"]), print).start(None)
    monkeypatch.setattr(outside, "SECONDS_TO_START", 0.1)
    hanging = Fake(hangs=["start"])
    with pytest.raises(UserError, match=r"no answer for 0.1 s; .*MLFLOW_TRACKING_URI"):
        Outside("mlflow", hanging, print).start(None)
    hanging.go_on.set()


@pytest.fixture
def fakes(monkeypatch):
    made = []

    def make(*given):
        made.append(Fake(*given))
        return made[-1]

    monkeypatch.setattr(services, "check_installed", lambda names: None)
    monkeypatch.setattr(run, "check_installed", lambda names: None)
    monkeypatch.setitem(services.SERVICES, "wandb", make)
    return made


def test_a_run_tells_its_configuration_numbers_and_grids_and_goes_on_where_it_was(fakes, tmp_path):
    config = tiny_config(write_dataset(tmp_path / "data"), steps=4, sample_every=2, project="p")
    config = replace(config, tracker=("wandb",))
    run.train(config, tmp_path / "run", quiet=True)
    project, name, settings = fakes[0].given
    assert (project, name) == ("p", "run")
    assert settings["settings.loss.identity"] == 5.0
    assert settings["steps"] == 4
    lines = [json.loads(one) for one in (tmp_path / "run" / "metrics.jsonl").open()]
    told = [
        (step, values)
        for kind, step, *rest in fakes[0].heard[1:-1]
        if kind == "metrics"
        for values in rest
    ]
    assert told == [(one.pop("step"), one) for one in lines]
    assert [step for kind, step, *_ in fakes[0].heard[1:-1] if kind == "picture"] == [0, 2, 4]
    assert fakes[0].heard[-1] == ("finish",)
    assert read_yaml(tmp_path / "run" / "config.yaml") == config
    run.train(replace(config, steps=6), tmp_path / "run", resume=True, quiet=True)
    assert fakes[1].heard[0] == ("start", {"id": "new"})
    run.train(replace(config, steps=7, tracker=()), tmp_path / "run", resume=True, quiet=True)
    assert len(fakes) == 2


def test_a_run_that_can_not_begin_there_leaves_an_empty_folder(fakes, tmp_path, monkeypatch):
    monkeypatch.setitem(services.SERVICES, "wandb", lambda *given: Fake(fails=["start"]))
    config = tiny_config(write_dataset(tmp_path / "data"), steps=1, tracker=("wandb",))
    with pytest.raises(UserError, match="can't begin"):
        run.train(config, tmp_path / "run", quiet=True)
    assert list((tmp_path / "run").iterdir()) == []
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    run.train(config, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run" / "trackers.json").exists()


def test_a_missing_package_is_said_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(services.util, "find_spec", lambda name: None)
    config = tiny_config(write_dataset(tmp_path / "data"), tracker=("mlflow",))
    with pytest.raises(UserError, match=r"mlflow needs `pip install 'unpaired\[mlflow\]'`"):
        run.train(config, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_damage_to_what_was_kept_begins_anew(tmp_path):
    for text in ("{", "[]", '{"wandb": 3, "mlflow": {"id": 4}}'):
        (tmp_path / "trackers.json").write_text(text)
        assert outside._known(tmp_path) == {}


def test_a_tree_becomes_names_with_dots():
    assert flat({"a": {"b": {"c": 1}, "d": None}, "e": (1, 2)}) == {
        "a.b.c": 1,
        "a.d": None,
        "e": "1, 2",
    }


def wandb_records(content: bytes) -> list[bytes]:
    """The records of an offline run's file: LevelDB's log format after a header of 7 bytes.

    Blocks of 32 KiB hold pieces of (checksum 4, length 2, kind 1) and content; kind 1 is whole,
    2, 3, 4 are first, middle and last.
    """
    assert content[:4] == b":W&B"
    found, begun, at = [], b"", 7
    while at + 7 <= len(content):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        piece = content[at + 7 : at + 7 + length]
        begun = piece if kind in (1, 2) else begun + piece
        if kind in (1, 4):
            found.append(begun)
        at += 7 + length
    return found


TINY = "--size 16 --filters 2 --blocks 1 --discriminator.filters 2 --discriminator.layers 1"


@pytest.mark.slow
def test_the_real_wandb_and_mlflow_hear_of_a_run_and_of_its_resumption(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("wandb")
    from wandb.proto import wandb_internal_pb2

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    data = write_dataset(tmp_path / "data")
    words = f"train cyclegan --data {data} --steps 4 --log-every 2 {TINY} --out runs/one"
    words += " --sample-every 2 --tracker wandb mlflow --project trial"
    assert command(words.split()) == 0
    assert command(["train", "--out", "runs/one", "--resume", "--steps", "6"]) == 0

    known = json.loads((tmp_path / "runs/one/trackers.json").read_text())
    lines = [json.loads(one) for one in (tmp_path / "runs/one/metrics.jsonl").open()]
    client = mlflow.MlflowClient()
    found = client.get_run(known["mlflow"]["id"])
    assert found.info.run_name == "one"
    assert found.data.params["settings.filters"] == "2"
    history = client.get_metric_history(found.info.run_id, "gan_G")
    assert [(one.step, one.value) for one in history] == [(e["step"], e["gan_G"]) for e in lines]
    artifacts = [one.path for one in client.list_artifacts(found.info.run_id, "images")]
    assert len([path for path in artifacts if path.endswith(".png")]) == 4
    assert len(client.search_runs([found.info.experiment_id])) == 1

    told, names = [], set()
    stores = sorted(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert {store.stem for store in stores} == {f"run-{known['wandb']['id']}"}
    for path in stores:
        for content in wandb_records(path.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(content)
            if record.WhichOneof("record_type") == "run":
                names.add((record.run.project, record.run.display_name))
            items = {i.key or "/".join(i.nested_key): i.value_json for i in record.history.item}
            if "gan_G" in items:
                told.append((json.loads(items["step"]), json.loads(items["gan_G"])))
    assert names == {("trial", "one")}
    assert told == [(e["step"], e["gan_G"]) for e in lines]
