"""What participants' browsers see of a study, and what they must not."""

import io
import json
import struct
import subprocess
import sys
import threading
from collections import Counter

import numpy as np
import PIL.Image
import pytest

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from tests.study.studies import small_study
from unpaired.errors import UserError
from unpaired.study.design import read_design, write_design
from unpaired.study.records import CODEBOOK, as_csv, records
from unpaired.study.server import make_app
from unpaired.study.store import Begun, Store


@pytest.fixture
def study(tmp_path):
    return small_study(tmp_path)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """Answers may come at once; that early ones are refused is tested with the other attacks."""
    monkeypatch.setattr("unpaired.study.design.ROUNDING", 10_000)


@pytest.fixture
def web(study):
    return TestClient(make_app(study), follow_redirects=False)


def begin(web, **more) -> str:
    reply = web.post("/begin", data={"agreed": "yes", **more})
    assert reply.status_code == 303, reply.text
    return reply.headers["location"].rpartition("/")[2]


def given(choice="left", **more):
    return {"choice": choice, "reaction": 700, "exposures": [1000, 1000], **more}


def do_all(web, key, choose):
    for trial in web.get(f"/s/{key}/plan").json()["trials"]:
        where = f"/s/{key}/trials/{trial['position']}"
        assert web.post(f"{where}/shown").json() == {"first_time": True}
        assert web.post(f"{where}/answer", json=given(choose(trial))).status_code == 200
    assert web.post(f"/s/{key}/finish").json()["done"]


def chunks(png: bytes) -> list[str]:
    """The types of a PNG's chunks: what a file may say beside its pixels."""
    found, at = [], 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        found.append(kind.decode())
        at += length + 12
    return found


def test_nothing_that_a_browser_gets_tells_the_answer(study, web):
    store = web.app.state.store
    key = begin(web)
    seen = [web.get("/").text, web.get(f"/s/{key}").text, web.get(f"/s/{key}/plan").text]
    plan = json.loads(seen[-1])
    files = {}
    for trial in plan["trials"]:
        for side in ("left", "right"):
            reply = web.get(trial[side])
            files[trial[side]] = reply
            assert reply.headers["content-type"] == "image/png"
    for picture in store.pictures:
        for text in seen:
            assert picture.id not in text
    assert set(plan["trials"][0]) == {"position", "practice", "left", "right"}
    headers = [{k: v for k, v in r.headers.items() if k != "date"} for r in files.values()]
    assert all(one == headers[0] for one in headers)  # among them content-length
    assert "set-cookie" not in headers[0]
    kinds = {PIL.Image.open(io.BytesIO(r.content)).mode for r in files.values()}
    assert kinds == {"RGB"}
    assert {chunk for r in files.values() for chunk in chunks(r.content)} == {
        "IHDR",
        "IDAT",
        "IEND",
    }
    assert store.truth_at(plan["trials"][0]["left"].rpartition("/")[2])


def test_pictures_are_those_of_their_trials_and_unlike_in_two_sessions(web):
    one, other = (web.get(f"/s/{begin(web)}/plan").json()["trials"] for _ in range(2))
    assert not {t["left"] for t in one} & {t["left"] for t in other}
    store = web.app.state.store
    for trial in one:
        phase, truth = store.truth_at(trial["left"].rpartition("/")[2])
        for side in ("left", "right"):
            pixels = np.asarray(PIL.Image.open(io.BytesIO(web.get(trial[side]).content)))
            plain = len(np.unique(pixels.reshape(-1, 3), axis=0)) == 1
            assert plain == (side != truth and phase != "attention")


def test_an_answer_counts_once_and_only_after_the_trial_was_shown(web):
    key = begin(web)
    where = f"/s/{key}/trials/2"
    assert web.post(f"{where}/answer", json=given()).status_code == 409
    assert web.post(f"{where}/shown").json() == {"first_time": True}
    assert web.post(f"{where}/answer", json=given("left")).status_code == 200
    assert web.post(f"{where}/answer", json=given("right")).status_code == 200
    assert web.app.state.store.trials(key)[2]["choice"] == "left"


def test_only_practice_tells_whether_an_answer_was_right(web):
    key = begin(web)
    store = web.app.state.store
    for position, trial in enumerate(store.trials(key)):
        web.post(f"/s/{key}/trials/{position}/shown")
        told = web.post(f"/s/{key}/trials/{position}/answer", json=given("left")).json()
        assert told == ({"right": trial["truth"] == "left"} if position < 2 else {})


def test_after_a_reload_no_trial_is_shown_twice(web):
    key = begin(web)
    web.post(f"/s/{key}/trials/0/shown")
    web.post(f"/s/{key}/trials/0/answer", json=given())
    web.post(f"/s/{key}/trials/1/shown")  # and reloaded before the answer
    left = [t["position"] for t in web.get(f"/s/{key}/plan").json()["trials"]]
    assert left == list(range(2, 10))
    assert web.post(f"/s/{key}/trials/1/shown").json() == {"first_time": False}
    assert not web.post(f"/s/{key}/finish").json()["done"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"choice": "up", "reaction": 1},
        {"choice": "left"},
        {"choice": "left", "reaction": -1},
        {"choice": "left", "reaction": "NaN"},
        {"choice": "left", "reaction": 1, "exposures": [1, 2, 3]},
        {"choice": "left", "reaction": 1, "right": True},
        [],
    ],
)
def test_a_senseless_answer_is_refused(web, wrong):
    key = begin(web)
    web.post(f"/s/{key}/trials/0/shown")
    assert web.post(f"/s/{key}/trials/0/answer", json=wrong).status_code == 422
    assert web.app.state.store.trials(key)[0]["answered"] is None


def test_algorithms_stay_balanced_when_many_begin_at_once(tmp_path):
    study = small_study(tmp_path, arms=("a", "b", "c"))
    store, design = Store(study / "study.sqlite"), read_design(study / "study.yaml")
    threads = [threading.Thread(target=store.begin, args=(design, Begun("1"))) for _ in range(31)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = Counter(s["arm"] for s in store.sessions())
    assert sorted(counts.values()) == [10, 10, 11]
    assert [s["number"] for s in store.sessions()] == list(range(31))


def test_who_comes_back_from_a_platform_gets_the_same_session(web):
    assert begin(web, prolific="p1") == begin(web, prolific="p1") != begin(web, prolific="p2")
    assert begin(web) != begin(web)


def test_nobody_begins_without_consent_or_in_a_preview(web):
    assert web.post("/begin", data={}).status_code == 400
    preview = {"agreed": "yes", "assignment": "ASSIGNMENT_ID_NOT_AVAILABLE", "worker": "w"}
    assert web.post("/begin", data=preview).status_code == 400
    page = web.get("/?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE").text
    assert "preview" in page
    assert "<form" not in page
    assert web.app.state.store.sessions() == []


def test_platforms_are_told_of_the_end_and_only_they(study):
    design = read_design(study / "study.yaml")
    link = "https://app.prolific.com/submissions/complete?cc=X"
    write_design(study / "study.yaml", type(design)(**{**vars(design), "completion_url": link}))
    web = TestClient(make_app(study), follow_redirects=False)
    ends = {}
    for name, more in {
        "prolific": {"prolific": "p"},
        "mturk": {"worker": "w", "assignment": "A1", "submit": "https://www.mturk.com"},
        "evil": {"worker": "v", "assignment": "A2", "submit": "https://evil.example"},
        "plain": {},
    }.items():
        key = begin(web, **more)
        do_all(web, key, lambda _: "left")
        ends[name] = web.get(f"/s/{key}/thanks").text
    assert link in ends["prolific"]
    assert "https://www.mturk.com/mturk/externalSubmit" in ends["mturk"]
    assert 'value="A1"' in ends["mturk"]
    assert "evil.example" not in ends["evil"]
    assert link not in ends["plain"]


def test_withdrawal_deletes_everything_of_a_participant(study, web):
    stays, goes = begin(web), begin(web, prolific="SECRET-PERSON")
    do_all(web, goes, lambda _: "left")
    assert "deleted" in web.post(f"/s/{goes}/withdraw").text
    assert web.get(f"/s/{goes}").status_code == 404
    assert web.get(f"/s/{stays}").status_code == 200
    store = web.app.state.store
    assert store.trials(goes) == []
    assert store.value("withdrawn") == "1"
    for file in study.glob("study.sqlite*"):
        content = file.read_bytes()
        assert b"SECRET-PERSON" not in content
        assert goes.encode() not in content


def test_the_design_is_frozen_once_data_collection_began(study, web):
    begin(web)
    design = read_design(study / "study.yaml")
    write_design(study / "study.yaml", type(design)(**{**vars(design), "exposure": 500}))
    with pytest.raises(UserError, match="changed after data collection began"):
        make_app(study)
    write_design(study / "study.yaml", design)
    make_app(study)


def test_the_admin_page_needs_its_token_and_can_pause_and_export(web):
    store = web.app.state.store
    token = store.value("admin")
    do_all(web, begin(web), lambda _: "left")
    assert web.get("/admin/guess").status_code == 404
    assert web.get("/admin/guess/export.csv").status_code == 404
    assert web.post("/admin/guess/pause").status_code == 404
    assert "1 of 25" in web.get(f"/admin/{token}").text
    text = web.get(f"/admin/{token}/export.csv").text
    assert text.splitlines()[0].split(",") == list(CODEBOOK)
    assert len(text.splitlines()) == 1 + 10
    web.post(f"/admin/{token}/pause", data={"paused": "yes"})
    assert web.get("/").status_code == 503
    assert web.post("/begin", data={"agreed": "yes"}).status_code == 409
    web.post(f"/admin/{token}/pause", data={"paused": "no"})
    begin(web)


def test_who_fails_attention_or_answers_too_fast_is_excluded(web):
    store = web.app.state.store
    design = read_design(store.path.with_name("study.yaml"))

    def right(trial):
        return store.truth_at(trial["left"].rpartition("/")[2])[1]

    def careless(trial):
        phase, truth = store.truth_at(trial["left"].rpartition("/")[2])
        return truth if phase != "attention" else {"left": "right", "right": "left"}[truth]

    do_all(web, begin(web), right)
    do_all(web, begin(web), careless)
    hasty = begin(web)
    for trial in web.get(f"/s/{hasty}/plan").json()["trials"]:
        where = f"/s/{hasty}/trials/{trial['position']}"
        web.post(f"{where}/shown")
        web.post(f"{where}/answer", json=given(right(trial), reaction=90))
    why = {line["session"]: line["excluded"] for line in records(store, design)}
    assert why == {0: "", 1: "attention", 2: "too fast"}
    lines = records(store, design)
    assert all(line["fooled"] == 0 for line in lines if line["session"] == 0)
    assert all(
        line["fooled"] == (line["phase"] == "attention") for line in lines if line["session"] == 1
    )
    assert as_csv(lines).count("\r\n") == 31


@pytest.mark.parametrize("preset", ["pix2pix2016", "versus"])
def test_what_fooled_means_follows_from_the_question(tmp_path, preset):
    study = small_study(tmp_path, preset=preset)
    web = TestClient(make_app(study), follow_redirects=False)
    store = web.app.state.store
    do_all(web, begin(web), lambda t: store.truth_at(t["left"].rpartition("/")[2])[1])
    lines = records(store, read_design(study / "study.yaml"))
    if preset == "versus":
        assert {line["preferred"] for line in lines} == {1}
        assert {line["fooled"] for line in lines} == {""}
    else:
        assert {line["fooled"] for line in lines} == {0}


def test_serving_needs_no_torch():
    """A study's server starts in a second and is small."""
    check = "import sys, unpaired.study.server; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
