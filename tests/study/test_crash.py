"""Killed at any moment, the server loses no answer that it acknowledged."""

import sqlite3
import threading

import numpy as np
import pytest

pytest.importorskip("fastapi")

from tests.study.serving import Server
from tests.study.studies import small_study
from unpaired.study.simulation import People, acknowledged_but_lost, simulate, truth_from
from unpaired.study.store import Store


@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=pytest.mark.slow)])
def test_killed_under_twenty_people_no_acknowledged_answer_is_lost(tmp_path, kills):
    study = small_study(tmp_path, count=60, scored=40, practice=2, attention=2)
    rng = np.random.default_rng(0)
    found = []
    with Server(study) as server:
        # slow enough to be under way through all kills
        think = 0.05 if kills < 10 else 6.0

        def all_people():
            people = People(think=think)
            truth = truth_from(study)
            found.append(simulate(server.address, 20, people, at_once=20, truth=truth))

        crowd = threading.Thread(target=all_people)
        crowd.start()
        done = 0
        while done < kills and crowd.is_alive():
            crowd.join(rng.uniform(0.0, 0.8))
            server.kill()
            server.start()
            server.wait()
            done += 1
        crowd.join()
    happened = found[0]
    assert done == kills, "the people were done too soon for the test to mean anything"
    assert happened.retries > 0
    assert happened.failed == []
    assert happened.finished == 20
    store = Store(study / "study.sqlite")
    assert acknowledged_but_lost(store, happened) == []
    assert sum(t["answered"] is not None for t in store.trials()) == 20 * 44
    store.close()
    with sqlite3.connect(study / "study.sqlite") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
