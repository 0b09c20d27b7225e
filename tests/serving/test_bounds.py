"""Tokens, queues, sizes and times that a server does not go beyond; how it starts and ends."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from tests.started import free_port
from tests.translation.many.files import picture, png, write_negative
from unpaired.cli import run

pytest.importorskip("litserve")

from tests.serving.networks import write_slow
from tests.serving.server import Server, at_work, computed, gone

TOKEN = "0123456789abcdef-secret"
SMALL = ("--queue", 2, "--batch", 1, "--timeout", 3, "--max-pixels", 10_000, "--max-bytes", 90_000)


@pytest.fixture(scope="module")
def negative(tmp_path_factory):
    return write_negative(tmp_path_factory.mktemp("served") / "negative.onnx")


@pytest.fixture(scope="module")
def server(negative):
    with Server(negative, *SMALL, token=TOKEN) as one:
        yield one


@pytest.mark.parametrize("given", ["", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer ü"])
def test_without_the_token_nothing_is_told_or_done(server, given):
    heads = {"Authorization": given.encode("latin-1")} if given else {}
    for method, path in (("POST", "/v1/translate"), ("GET", "/v1/models"), ("GET", "/metrics")):
        reply = httpx.request(method, server.address + path, headers=heads)
        assert reply.status_code == 401
        assert reply.headers["www-authenticate"] == "Bearer"
    heads["Host"] = "pictures.example.org"  # with a token it may be called by any name
    for path in ("/", "/static/page.js", "/health/live", "/openapi.json"):
        assert httpx.get(server.address + path, headers=heads).status_code == 200
    assert server.translate(png(picture(1))).status_code == 200


def test_headers_have_an_end_and_a_redirect_leads_nowhere_else(server):
    with socket.create_connection(("127.0.0.1", server.web.base_url.port), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        told = b""
        try:
            for number in range(16):  # a megabyte each, and no token among them
                client.sendall(b"X%d: %s\r\n" % (number, b"a" * (1 << 20)))
            told = client.recv(100)
        except ConnectionError:
            told = b"HTTP/1.1 400 or nothing, as it was closed meanwhile"
    assert told.startswith(b"HTTP/1.1 400")
    for path in ("/v1/models/", "/static", "/metrics/"):
        reply = server.web.get(path, headers={"Host": "elsewhere"}, follow_redirects=False)
        assert reply.status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("PUT", "/v1/translate", 405), ("GET", "/static/../app.py", 404)],
)
def test_what_is_not_there_is_refused_as_all_else(server, method, path, status):
    reply = server.web.request(method, path)
    assert reply.status_code == status
    assert list(reply.json()) == ["error"]


def test_a_full_queue_is_429_at_once_and_health_still_answers(server):
    content = png(picture(1))
    with server.frozen():
        taken = [server.send(content) for _ in range(2)]
        server.until(queue=2)
        refused = server.translate(content)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.elapsed.total_seconds() < 1
        assert server.web.get("/health/live").status_code == 200
    assert [one.result().status_code for one in taken] == [200, 200]
    labels = {"model": "negative", "direction": "x2y"}
    assert server.metric("unpaired_requests_total", **labels, status="429") >= 1


def test_pictures_and_files_that_are_too_large_are_413(server):
    assert server.translate(png(picture(1, 100, 100))).status_code == 200
    wide = server.translate(png(picture(1, 100, 101)))
    assert wide.status_code == 413
    assert "101 x 100 pixels" in wide.json()["error"]
    assert server.translate(b"\xff" * 90_001).status_code == 413

    def pieces():
        for _ in range(100):
            yield b"\xff" * 1000

    without_length = server.web.post("/v1/translate", content=pieces())
    assert without_length.status_code == 413


def test_a_refused_upload_is_told_why_though_the_client_still_sends(server):
    reply = server.translate(b"\xff" * 5_000_000)  # more than sockets hold
    assert reply.status_code == 413
    assert "too large" in reply.json()["error"]


@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 30, "²"])
def test_lengths_that_make_no_sense_are_refused(server, length):
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    client.putrequest("POST", "/v1/translate")
    client.putheader("Authorization", f"Bearer {TOKEN}")
    client.putheader("Content-Length", length.encode("utf-8"))
    client.endheaders()
    assert client.getresponse().status in (400, 413)
    client.close()


def test_what_takes_too_long_is_504_and_ended_and_who_waits_behind_it_is_told(server):
    with server.frozen() as worker:
        reply = server.send(png(picture(1)))
        assert reply.result().status_code == 504  # never begun
    assert worker.is_running()
    server.until(queue=0, ready=True)
    assert server.translate(png(picture(1))).status_code == 200


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    network = write_slow(tmp_path_factory.mktemp("served") / "slow.onnx")
    with Server(network, "--timeout", 4) as one:
        yield one


def test_computing_for_too_long_is_504_and_the_worker_a_new_one(slow):
    worker = slow.worker()
    since = computed(worker)
    reply = slow.send(png(picture(1, 900, 900)))
    at_work(worker, since)
    worker.suspend()
    assert reply.result().status_code == 504
    assert "too long" in reply.result().json()["error"]
    assert gone([worker])
    slow.until(ready=False)
    slow.until(ready=True)
    assert slow.metric("unpaired_worker_deaths_total") == 0


def test_sigterm_answers_what_was_accepted_then_143(slow):
    worker, everything = slow.worker(), slow.family()
    since = computed(worker)
    reply = slow.send(png(picture(1, 400, 400)))
    at_work(worker, since)
    assert slow.end(signal.SIGTERM) == 143
    assert reply.result().status_code == 200
    assert gone(everything)


def test_a_server_that_is_killed_leaves_no_process_behind(server):
    everything = server.family()
    server.kill()
    assert gone(everything)


@pytest.mark.slow
def test_a_worker_that_only_ever_dies_ends_the_server_with_1(negative):
    with Server(negative) as one:
        until = time.monotonic() + 120
        while one.process.poll() is None:
            assert time.monotonic() < until
            for child in one.children("spawn_main"):
                child.kill()
            time.sleep(0.2)
        assert one.process.returncode == 1


def test_ctrl_c_is_130_and_one_word(negative, tmp_path):
    command = [sys.executable, "-m", "unpaired", "serve", str(negative), "--port"]
    with (tmp_path / "said").open("w+") as said:
        process = subprocess.Popen(
            [*command, str(free_port())], stdout=said, stderr=said, start_new_session=True
        )
        until = time.monotonic() + 60
        while "serving at" not in (tmp_path / "said").read_text():
            assert time.monotonic() < until
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        assert process.wait(timeout=30) == 130
    assert (tmp_path / "said").read_text().splitlines()[-1] == "interrupted"
    assert "Traceback" not in (tmp_path / "said").read_text()


def refused(arguments, capfd) -> str:
    assert run(["serve", *map(str, arguments)]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    return line


def test_mistakes_are_one_line_and_exit_code_2(negative, tmp_path, capfd, monkeypatch):
    monkeypatch.delenv("UNPAIRED_TOKEN", raising=False)
    assert "name one or more runs" in refused([], capfd)
    assert "two runs" in refused([negative, tmp_path / "other" / "negative.onnx"], capfd)
    assert "--queue is 0" in refused([negative, "--queue", 0], capfd)
    assert "can't be read" in refused([negative, "--token-file", tmp_path / "none"], capfd)
    (tmp_path / "token").write_text("short\n")
    assert "16 letters" in refused([negative, "--token-file", tmp_path / "token"], capfd)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert "cannot listen" in refused([negative, "--port", port], capfd)


def test_a_run_that_is_not_there_is_one_line_and_exit_code_2(tmp_path):
    made = subprocess.run(
        [sys.executable, "-m", "unpaired", "serve", str(tmp_path / "none"), "--host", "0.0.0.0",
         "--port", str(free_port())],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    warning, error = made.stderr.splitlines()
    assert made.returncode == 2
    assert warning.startswith("warning: whoever reaches 0.0.0.0")
    assert "none" in error
