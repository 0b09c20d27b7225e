"""What must not work, whoever tries."""

import asyncio
import http.client
import json
import socket
import sqlite3
import time

import pytest

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from tests.study.serving import Server
from tests.study.studies import PAPER, small_study
from tests.study.test_server import begin, given
from unpaired.cli.study import ServeOptions
from unpaired.study.guard import LONGEST, Guard
from unpaired.study.server import make_app

EVIL = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>"


@pytest.fixture
def study(tmp_path):
    return small_study(tmp_path)


@pytest.fixture
def web(study):
    app = make_app(study)
    return TestClient(app, follow_redirects=False)  # raises what the server didn't catch


def plan(web, key):
    return web.get(f"/s/{key}/plan").json()["trials"]


def show(web, key, position):
    assert web.post(f"/s/{key}/trials/{position}/shown").json() == {"first_time": True}
    time.sleep(0.04)  # 2 x 50 ms, less the rounding


def everything(study) -> list:
    """The whole database, but for when a session was last heard of."""
    with sqlite3.connect(study / "study.sqlite") as db:
        trials = db.execute("SELECT * FROM trial ORDER BY session, position").fetchall()
        sessions = db.execute("SELECT id, arm, state FROM session ORDER BY id").fetchall()
        return [trials, sessions, db.execute("SELECT * FROM study ORDER BY key").fetchall()]


OUTSIDE = (
    "/i/../study.yaml",
    "/i/%2e%2e/study.yaml",
    "/i/%2e%2e%2fstudy.yaml",
    "/i/..%5cstudy.sqlite",
    "/i/%2fetc%2fpasswd",
    "/i//etc/passwd",
    "/i/a%00.png",
    "/i/",
    "/static/../server.py",
    "/static/%2e%2e/server.py",
    "/static/..%2f..%2fstudy.sqlite",
    "/static//etc/passwd",
    "/static/a%00",
    "/s/../study.sqlite/plan",
    "/s/%2e%2e%2f/plan",
    "/s/' OR 1=1 --/plan",
    "/images/",
    "/study.sqlite",
    "/docs",
    "/openapi.json",
)


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_path_leads_out(web, path):
    reply = web.get(path)
    assert reply.status_code in (400, 404, 405, 307), reply.text
    assert "root:" not in reply.text
    assert "SQLite" not in reply.text


def test_no_path_leads_out_as_it_is_sent(study):
    """The client above tidies paths up before it asks."""
    with Server(study) as server:
        line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        for path in (*(p.replace(" ", "%20") for p in OUTSIDE), "http://evil.example/i/..", "/%"):
            line.request("GET", path)
            reply = line.getresponse()
            text = reply.read()
            assert reply.status in (400, 404, 405, 307), path
            assert b"root:" not in text
            assert b"SQLite" not in text
            assert reply.headers["Referrer-Policy"] == "no-referrer"
        line.close()


def test_a_file_is_found_by_the_address_of_its_trial_alone(study, web):
    begin(web)
    for image in (study / "images").iterdir():
        assert web.get(f"/i/{image.name}").status_code == 404
        assert web.get(f"/i/{image.stem}").status_code == 404


def test_a_session_can_do_nothing_to_another(study, web):
    mine, other = begin(web), begin(web)
    (first, *_), (theirs, *_) = plan(web, mine), plan(web, other)
    assert {first["left"], first["right"]}.isdisjoint({theirs["left"], theirs["right"]})
    show(web, mine, 0)
    before = everything(study)
    assert web.post(f"/s/{other}/trials/0/answer", json=given()).status_code == 409  # not shown
    assert everything(study) == before
    for guess in (mine[:-1], mine[:-1] + "A", mine.lower(), mine + "A", "0", "%", "_" * 32):
        if guess == mine:
            continue
        assert web.get(f"/s/{guess}").status_code == 404
        assert web.get(f"/s/{guess}/plan").status_code == 404
        assert web.post(f"/s/{guess}/trials/0/shown").status_code == 404
        assert web.post(f"/s/{guess}/trials/0/answer", json=given()).status_code == 404
        assert web.post(f"/s/{guess}/finish").status_code == 404
        web.post(f"/s/{guess}/withdraw")
    assert everything(study) == before
    address = theirs["left"]
    for guess in (address[:-1], address + "A", address.swapcase()):
        assert web.get(guess).status_code == 404


@pytest.mark.parametrize("position", ["-1", "10", "999999", str(1 << 63), str(1 << 70), "1e3", "x"])
def test_a_trial_that_is_none_is_refused(study, web, position):
    key = begin(web)
    before = everything(study)
    where = f"/s/{key}/trials/{position}"
    shown = web.post(f"{where}/shown")
    assert shown.status_code in (404, 422) or shown.json() == {"first_time": False}
    assert web.post(f"{where}/answer", json=given()).status_code in (404, 409, 422)
    assert everything(study) == before


def test_a_second_answer_changes_nothing(study, web):
    key = begin(web)
    show(web, key, 2)
    assert web.post(f"/s/{key}/trials/2/answer", json=given("left")).status_code == 200
    before = everything(study)
    again = web.post(f"/s/{key}/trials/2/answer", json=given("right"))
    assert again.status_code == 200  # so that a browser that was cut off can ask again
    assert again.json() == {}
    assert everything(study) == before


def test_nobody_can_answer_before_the_pictures_were_shown(tmp_path):
    study = small_study(tmp_path, exposure=400, blank_between=100)
    web = TestClient(make_app(study))
    key = web.post("/begin", data={"agreed": "yes"}).url.path.rpartition("/")[2]
    where = f"/s/{key}/trials/0"
    assert web.post(f"{where}/answer", json=given()).status_code == 409  # not shown at all
    web.post(f"{where}/shown")
    before = everything(study)
    assert web.post(f"{where}/answer", json=given()).status_code == 409
    time.sleep(0.4)  # the first picture has gone, the second is on the screen
    assert web.post(f"{where}/answer", json=given()).status_code == 409
    assert everything(study) == before
    time.sleep(0.5)
    assert web.post(f"{where}/answer", json=given()).status_code == 200


def test_without_time_limits_there_is_nothing_to_wait_for(tmp_path):
    web = TestClient(make_app(small_study(tmp_path, **PAPER)), follow_redirects=False)
    assert web.get(f"/s/{begin(web)}/plan").json()["shown_for"] == 2600
    key = begin(web, accessible="yes")
    assert web.get(f"/s/{key}/plan").json()["shown_for"] is None
    web.post(f"/s/{key}/trials/0/shown")
    assert web.post(f"/s/{key}/trials/0/answer", json=given()).status_code == 200


def test_a_clock_that_is_set_back_costs_no_answer(tmp_path, monkeypatch):
    web = TestClient(make_app(small_study(tmp_path, **PAPER)), follow_redirects=False)
    key = begin(web)
    web.post(f"/s/{key}/trials/0/shown")
    now = time.time()
    monkeypatch.setattr("unpaired.study.store.time.time", lambda: now - 3600)
    assert web.post(f"/s/{key}/trials/0/answer", json=given()).status_code == 200


@pytest.mark.parametrize(
    "token", ["", "x", "None", "%00", "%ed%a0%80", "\u00e4\u00f6", "' OR 1=1 --", "A" * 5000]
)
def test_the_admin_page_opens_to_its_token_alone(study, web, token):
    before = everything(study)
    assert web.get(f"/admin/{token}").status_code in (404, 307)
    assert web.post(f"/admin/{token}/pause", data={"paused": "yes"}).status_code in (404, 405, 307)
    for kind in ("csv", "json"):
        assert web.get(f"/admin/{token}/export.{kind}").status_code in (404, 307)
    assert web.get("/admin").status_code == 404
    assert everything(study) == before


def said(server, head: str, body: bytes = b"") -> int:
    """The status that a server answers these bytes with, sent as they are and no others."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(f"{head}\r\nHost: x\r\n\r\n".encode() + body)
        return int(line.makefile("rb").readline().split()[1])


def test_bodies_that_are_too_long_are_refused(study):
    form = "POST /begin HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded"
    many = b"x" * (LONGEST + 1)
    piece = b"%x\r\n%s" % (len(many), many)
    with Server(study) as server:
        assert said(server, f"{form}\r\nContent-Length: {LONGEST + 1}") == 413  # at once
        assert said(server, f"{form}\r\nTransfer-Encoding: chunked", piece) == 413
        for path in ("POST /s/x/trials/0/shown", "GET /"):  # where nobody reads a body
            head = f"{path} HTTP/1.1\r\nTransfer-Encoding: chunked"
            assert said(server, head, piece) == 413
        # what is beyond a length that is a lie is no part of the request
        assert said(server, f"{form}\r\nContent-Length: 3", b"agreed=yes") == 400
        for length in ("-5", "x", "1e3", "9" * 5000):
            assert said(server, f"{form}\r\nContent-Length: {length}") in (400, 413)
        assert said(server, f"{form}\r\nContent-Length: 10", b"agreed=yes") == 303


def test_no_more_of_a_body_is_taken_in_than_is_allowed(web):
    """However much is sent, and whether or not its length was told."""
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1000
            yield b"x" * 1000

    async def app(scope, receive, send):
        raise AssertionError("the application was asked")

    async def receive():
        return {"type": "http.request", "body": next(body), "more_body": True}

    async def send(message):
        sent.append(message)

    body, sent = endless(), []
    scope = {"type": "http", "method": "POST", "path": "/begin", "headers": []}
    asyncio.run(Guard(app)(scope, receive, send))
    assert sent[0]["status"] == 413
    assert taken <= LONGEST + 1000
    key = begin(web)
    for length, status in (("", 400), ("-1", 400), ("1, 1", 400), ("9" * 5000, 413)):
        reply = web.post(f"/s/{key}/trials/0/shown", headers={"Content-Length": length})
        assert reply.status_code == status
    assert web.post(f"/s/{key}/trials/0/shown").json() == {"first_time": True}


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_forms_of_other_sites_are_refused(study, web, site):
    key = begin(web)
    show(web, key, 0)
    token = web.app.state.store.value("admin")
    before = everything(study)
    from_there = {"Sec-Fetch-Site": site, "Origin": "https://evil.example"}
    for path in (
        "/begin",
        f"/s/{key}/trials/0/answer",
        f"/s/{key}/trials/1/shown",
        f"/s/{key}/finish",
        f"/s/{key}/withdraw",
        f"/admin/{token}/pause",
    ):
        form = {"agreed": "yes", "paused": "yes"}
        assert web.post(path, data=form, headers=from_there).status_code == 403
    assert everything(study) == before
    assert web.get("/", headers=from_there).status_code == 200  # a link from Prolific


def test_an_answer_that_is_a_form_is_no_answer(study, web):
    """What another site could send without asking first."""
    key = begin(web)
    show(web, key, 0)
    before = everything(study)
    text = json.dumps(given())
    plain = web.post(
        f"/s/{key}/trials/0/answer", content=text, headers={"Content-Type": "text/plain"}
    )
    assert plain.status_code == 422
    assert web.post(f"/s/{key}/trials/0/answer", data=given()).status_code == 422
    assert everything(study) == before


@pytest.mark.parametrize("name", ["PROLIFIC_PID", "workerId", "assignmentId", "turkSubmitTo"])
def test_what_a_platform_says_is_text_and_never_markup(web, name):
    page = web.get("/", params={name: EVIL})
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "<img" not in page.text


def test_markup_in_ids_is_text_on_every_page(study, web):
    ids = {"worker": EVIL[:64], "assignment": EVIL[:64], "submit": "https://www.mturk.com"}
    key = begin(web, **ids)
    for trial in plan(web, key):
        show(web, key, trial["position"])
        web.post(f"/s/{key}/trials/{trial['position']}/answer", json=given())
    web.post(f"/s/{key}/finish")
    token = web.app.state.store.value("admin")
    for path in (f"/s/{key}/thanks", f"/admin/{token}"):
        page = web.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "onerror" not in page.text or "&lt;img" in page.text
    for kind in ("csv", "json"):  # answers are anonymous: no id, whatever it is
        assert "alert" not in web.get(f"/admin/{token}/export.{kind}").text


@pytest.mark.parametrize(
    "address",
    ["https://evil.example", "javascript:alert(1)", "https://www.mturk.com.evil.example", "//evil"],
)
def test_nobody_is_sent_where_a_link_says(web, address):
    assert address not in web.get("/", params={"workerId": "w", "turkSubmitTo": address}).text
    key = begin(web, worker="w", assignment="a", submit=address)
    for trial in plan(web, key):
        web.post(f"/s/{key}/trials/{trial['position']}/shown")
    web.post(f"/s/{key}/finish")
    thanks = web.get(f"/s/{key}/thanks")
    assert thanks.status_code == 200
    assert address not in thanks.text


@pytest.mark.parametrize(
    "text",
    [
        '{"choice": "left", "reaction": NaN}',
        '{"choice": "left", "reaction": Infinity}',
        '{"choice": "left", "reaction": 1e999}',
        '{"choice": "left", "reaction": 700, "exposures": [NaN, 1]}',
        '{"choice": "left", "reaction": 700, "exposures": [-1e300, 1]}',
        '{"choice": "left", "reaction": 700, "viewport": [1e400, 1]}',
        '{"choice": "left", "reaction": 700, "viewport": [' + "9" * 4000 + ", 1]}",
        '{"choice": "left", "reaction": 700, "\\ud800": 1}',
        '{"choice": "left", "reaction": 700, "extra": 1}',
        '{"choice": ["left"], "reaction": 700}',
        '{"choice": "left", "reaction": "\\ud800"}',
        "[" * 60_000,
        "{",
        "\x00",
        "",
    ],
)
def test_answers_that_make_no_sense_are_refused(study, web, text):
    key = begin(web)
    show(web, key, 0)
    before = everything(study)
    reply = web.post(
        f"/s/{key}/trials/0/answer", content=text, headers={"Content-Type": "application/json"}
    )
    assert reply.status_code in (400, 422)
    assert everything(study) == before


@pytest.mark.parametrize(
    "screen",
    [
        *("[" * 1900, '{"a":' * 300, "null", "NaN", '{"a": NaN}', '{"a": 1e999}'),
        *('{"a": ' + "[" * 990 + "]" * 990 + "}", '"\\ud800"', "\x00", "{"),
    ],
)
def test_a_screen_that_makes_no_sense_is_none(web, screen):
    key = begin(web, screen=screen)
    kept = web.app.state.store.session(key)["screen"]
    assert kept == "{}" or kept.startswith('{"a": [[')  # however deep Python happens to go


@pytest.mark.parametrize("name", ["prolific", "worker", "assignment"])
@pytest.mark.parametrize(
    "value", ["%00", "a%00b", "%ed%a0%80", "%ff", "a%0d%0aSet-Cookie:x", "x" * 65]
)
def test_ids_that_cannot_be_written_are_refused(study, web, name, value):
    before = everything(study)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = web.post("/begin", content=f"agreed=yes&{name}={value}", headers=kind)
    assert reply.status_code == 422
    asked = {"prolific": "PROLIFIC_PID", "worker": "workerId", "assignment": "assignmentId"}[name]
    assert web.get(f"/?{asked}={value}").status_code == 422
    assert everything(study) == before


def test_an_id_may_be_of_any_script(web):
    assert begin(web, prolific="\u00e4 \u4eba \U0001f600") == begin(
        web, prolific="\u00e4 \u4eba \U0001f600"
    )


def test_no_other_site_can_show_the_admin_page_in_a_frame(web):
    token = web.app.state.store.value("admin")
    for path in (f"/admin/{token}", "/static/pair.js", "/nowhere", "/health"):
        assert web.get(path).headers["content-security-policy"].endswith("frame-ancestors 'none'")
    key = begin(web)
    for path in ("/", f"/s/{key}", f"/s/{key}/thanks"):  # MTurk shows the study in one
        policy = web.get(path).headers["content-security-policy"]
        assert "frame-ancestors https://www.mturk.com https://workersandbox.mturk.com" in policy
        assert "default-src 'self'" in policy


def test_an_address_is_never_told_to_others_even_where_the_server_fails(web, monkeypatch):
    key = begin(web)
    monkeypatch.setattr(web.app.state.store, "session", None)
    broken = TestClient(web.app, raise_server_exceptions=False)
    replies = [
        *(broken.get(f"/s/{key}"), web.get("/s/"), web.post("/begin"), web.put("/")),
        web.post("/begin", headers={"Sec-Fetch-Site": "cross-site"}),
        web.post("/begin", content=b"x" * (LONGEST + 1)),
    ]
    assert [reply.status_code for reply in replies] == [500, 404, 400, 405, 403, 413]
    for reply in replies:
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "Traceback" not in reply.text


def test_only_this_machine_can_reach_a_server_that_was_not_told_otherwise(study):
    assert ServeOptions("study").host == "127.0.0.1"
    with Server(study) as server:
        socket.create_connection(("127.0.0.1", server.port), timeout=2).close()
        with pytest.raises(OSError):  # at 0.0.0.0 it would be there too
            socket.create_connection(("127.0.0.2", server.port), timeout=2)
