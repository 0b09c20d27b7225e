"""The board by HTTP: what it shows, and what it does not give away."""

import http.client
import re
import threading
from contextlib import contextmanager
from html import unescape

import pytest
from PIL import Image

from tests.board.folders import board, note, write_run
from tests.evaluation.reporting.test_report import Tags
from tests.test_architecture import loaded_by
from unpaired.board.pages import link_of


@contextmanager
def serving(runs):
    with board(runs) as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield lambda path, **more: get(one.server_address[1], path, **more)
        finally:
            one.shutdown()
            thread.join()


def get(port, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


@pytest.fixture
def run(tmp_path):
    folder = write_run(tmp_path / "my run's")
    scores = [{"step": 20 * i, "validation_score": 1 / i, "kid_x2y": 1 / i} for i in (1, 2)]
    note(folder, "metrics.jsonl", *scores)
    fault = {"step": 20, "name": "mode_collapse", "severity": "warning", "direction": "x2y"}
    note(folder, "findings.jsonl", {**fault, "evidence": "<i>one</i> colour", "advice": "wait"})
    return folder


def test_a_run_is_shown_whole_and_leads_nowhere_else(run):
    with serving({run.name: run}) as ask:
        status, headers, content = ask("/")
    page = content.decode()
    assert status == 200
    tags = Tags()
    tags.feed(re.sub(r"<script.*?</script>", "", page, flags=re.S))
    assert tags.open == []
    for tag, attributes in tags.seen:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("data:", "#", "/run/")), (tag, name)
    text = unescape(page)
    for expected in (
        "my run's",
        "40% done",
        "gan_G",
        "mode collapse",
        "best: step 40",
        "last line",
    ):
        assert expected in text, expected
    assert "<b>set</b>" not in page
    assert "<i>one</i>" not in page
    nonce = re.search(r"'nonce-([\w-]+)'", headers["Content-Security-Policy"])[1]
    assert f'<script nonce="{nonce}">' in page
    assert headers["Cache-Control"] == "no-store"


def test_several_runs_stand_in_a_table_that_links_to_each(run, tmp_path):
    other = write_run(tmp_path / "other", lines=0, grids=0)
    with serving({"mine": run, "other": other}) as ask:
        page = ask("/")[2].decode()
        assert f'href="{link_of(other)}"' in page
        assert "0.5000 at step 40" in page
        status, _, content = ask(link_of(other))
    assert status == 200
    assert "all runs" in content.decode()
    assert "<svg" not in content.decode()


def test_samples_come_from_the_runs_own_folder_and_nothing_else_does(run, tmp_path):
    secret = tmp_path / "step_00000099.png"
    Image.new("RGB", (2, 2)).save(secret)
    (run / "samples" / "step_00000099.png").symlink_to(secret)
    (run / "samples" / "step_00000077.png").mkdir()
    (run / "samples" / "note.png").write_bytes(b"private")
    link = link_of(run)
    with serving({"run": run}) as ask:
        status, headers, content = ask(f"{link}/samples/step_00000010.png")
        assert (status, headers["Content-Type"]) == (200, "image/png")
        assert content == (run / "samples" / "step_00000010.png").read_bytes()
        assert ask(f"{link}/samples/step_00000010.png", method="HEAD")[2] == b""
        for path in (
            f"{link}/samples/step_00000099.png",
            f"{link}/samples/step_00000077.png",
            f"{link}/samples/step_00000055.png",
            f"{link}/samples/note.png",
            f"{link}/samples/../config.yaml",
            f"{link}/samples/..%2fconfig.yaml",
            f"{link}/samples/%2e%2e/%2e%2e/step_00000099.png",
            f"{link}/config.yaml",
            "/run/000000000000",
            "/run/000000000000/samples/step_00000010.png",
            "/../../etc/passwd",
            "//etc/passwd",
            f"{link}/samples/step_00000010.png/",
        ):
            assert ask(path)[0] == 404, path
        assert ask("/", method="POST")[0] == 501


def test_another_sites_name_for_this_machine_is_refused(run):
    with serving({"run": run}) as ask:
        assert ask("/", Host="evil.example")[0] == 403
        assert ask("/", Host="localhost:99")[0] == 200
        assert ask("/", Host="[::1]:99")[0] == 200


def test_figures_are_drawn_again_only_when_there_is_a_new_line(run, monkeypatch):
    from unpaired.board import pages

    drawn = []
    monkeypatch.setattr(pages, "loss_curves", lambda lines: drawn.append(len(lines)) or "<svg/>")
    with serving({"run": run}) as ask:
        for _ in range(3):
            assert ask("/")[0] == 200
        note(run, "metrics.jsonl", {"step": 50, "gan_G": 1.0})
        assert ask("/")[0] == 200
    assert drawn == [6, 7]


def test_the_board_brings_no_torch():
    assert "torch" not in loaded_by("-c", "import unpaired.board.server, unpaired.board.state")
