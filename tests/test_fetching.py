"""Downloads end whole or not there, whatever the server does, and never as two files spliced."""

import hashlib
import json
import random
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers import Behaviour, serving
from unpaired import fetching
from unpaired.errors import UserError
from unpaired.fetching import fetched, file_sha256
from unpaired.fetching.state import Facts, continues

CONTENT = random.Random(0).randbytes(3_000_000)
OTHER = random.Random(1).randbytes(3_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def waits(monkeypatch) -> list[float]:
    """The pauses between tries, none of which is waited for."""
    slept: list[float] = []
    monkeypatch.setattr(fetching.time, "sleep", slept.append)
    monkeypatch.setattr(fetching, "PATIENCE", 1.0)
    return slept


def get(how: Behaviour, folder: Path, name: str = "file.zip", **options) -> bytes:
    """What `fetched` leaves at its place; nothing else may be left beside it."""
    with serving(how) as address:
        digest = fetched(f"{address}/{name}", folder / "file.zip", **options)
    content = (folder / "file.zip").read_bytes()
    assert digest == hashlib.sha256(content).hexdigest()
    assert [p.name for p in folder.iterdir()] == ["file.zip"]
    return content


def refuse(how: Behaviour, folder: Path, *words: str, name: str = "file.zip", **options) -> None:
    """It is, in one line, and nothing lies at the place."""
    with serving(how) as address, pytest.raises(UserError) as error:
        fetched(f"{address}/{name}", folder / "file.zip", **options)
    message = str(error.value)
    assert all(word in message for word in (*words, f"{address}/{name}", "by hand")), message
    assert "\n" not in message
    assert not (folder / "file.zip").exists()


PLAIN = {
    "with a length": {},
    "without a length": {"length": False},
    "in chunks": {"chunked": True},
    "without a tag": {"etag": None},
    "without ranges": {"ranges": "no"},
}


@pytest.mark.parametrize("how", PLAIN.values(), ids=PLAIN)
def test_a_file_arrives(how, tmp_path):
    behaviour = Behaviour(CONTENT, **how)
    assert get(behaviour, tmp_path) == CONTENT
    assert behaviour.asked == [""]


def test_redirections_are_followed_but_not_in_circles_and_not_to_this_disk(tmp_path):
    assert get(Behaviour(CONTENT), tmp_path, "moved.zip") == CONTENT
    (tmp_path / "file.zip").unlink()
    refuse(Behaviour(CONTENT), tmp_path, name="loop.zip")
    refuse(Behaviour(CONTENT), tmp_path, name="disk.zip")
    refuse(Behaviour(CONTENT), tmp_path, "no web address", name="ftp.zip")


BROKEN = {
    "with a length": {},
    "in chunks": {"chunked": True},
    "by date": {"etag": None, "modified": "Wed, 01 Jan 2020 00:00:00 GMT"},
    "weak tag and date": {"etag": 'W/"1"', "modified": "Wed, 01 Jan 2020 00:00:00 GMT"},
}


@pytest.mark.parametrize("how", BROKEN.values(), ids=BROKEN)
def test_a_broken_connection_is_gone_on_with(how, tmp_path, waits):
    behaviour = Behaviour(CONTENT, cuts=[1_000_000, 1_100_000], **how)
    assert get(behaviour, tmp_path) == CONTENT
    assert len(behaviour.asked) == 3
    starts = [int(asked[6:-1]) for asked in behaviour.asked[1:]]
    assert 900_000 < starts[0] <= 1_000_000 < starts[1] <= 2_100_000
    assert waits == [1, 1]  # each try brought it on, so the count starts again


STUBBORN = {
    "without ranges": {"ranges": "no"},
    "a wrong part": {"ranges": "wrong"},
    "a part without its place": {"ranges": "bare"},
    "a part without its tag": {"ranges": "unmarked"},
    "no part is right": {"ranges": "416"},
    "neither tag nor date": {"etag": None},
    "a weak tag alone": {"etag": 'W/"1"'},
}


@pytest.mark.parametrize("how", STUBBORN.values(), ids=STUBBORN)
def test_where_nothing_can_be_gone_on_with_it_starts_over(how, tmp_path):
    behaviour = Behaviour(CONTENT, cuts=[1_000_000], **how)
    assert get(behaviour, tmp_path) == CONTENT
    assert behaviour.asked[-1] == "" or how == {"ranges": "no"}
    assert len(behaviour.asked) == (3 if behaviour.ranges not in ("yes", "no") else 2)


def test_what_a_killed_download_left_is_gone_on_with(tmp_path, monkeypatch):
    behaviour = Behaviour(CONTENT)
    with serving(behaviour) as address:
        monkeypatch.setattr(fetching, "TRIES", 1)
        behaviour.cuts = [2_000_000]
        with pytest.raises(UserError, match="run this again"):
            fetched(f"{address}/file.zip", tmp_path / "file.zip")
        assert (tmp_path / "file.zip.part").read_bytes() == CONTENT[:2_000_000]
        fetched(f"{address}/file.zip", tmp_path / "file.zip")
    assert (tmp_path / "file.zip").read_bytes() == CONTENT
    assert behaviour.asked == ["", "bytes=2000000-"]


@pytest.mark.parametrize("heeds", [True, False], ids=["heeds If-Range", "ignores If-Range"])
@pytest.mark.parametrize("size", ["same size", "shorter", "longer"])
@pytest.mark.parametrize("mark", ["tag", "date"])
def test_a_file_that_changed_meanwhile_is_never_spliced(mark, size, heeds, tmp_path):
    new = {"same size": OTHER, "shorter": OTHER[:1_000_000], "longer": OTHER + OTHER}[size]
    marks = [{"etag": f'"{i}"'} for i in (1, 2)]
    if mark == "date":
        marks = [{"etag": None, "modified": f"Wed, 0{i} Jan 2020 00:00:00 GMT"} for i in (1, 2)]
    behaviour = Behaviour(CONTENT, cuts=[2_000_000], if_range=heeds, **marks[0])
    with serving(behaviour) as address:
        real = fetching.time.sleep

        def change(seconds):
            real(seconds)
            behaviour.content = new
            for name, value in marks[1].items():
                setattr(behaviour, name, value)

        fetching.time.sleep = change
        fetched(f"{address}/file.zip", tmp_path / "file.zip")
    assert (tmp_path / "file.zip").read_bytes() == new
    assert not heeds or len(behaviour.asked) == 2  # such a server sends all of it at once


KNOWN = Facts("http://a/b", '"1"', "Wed, 01 Jan 2020 00:00:00 GMT", 9)


@pytest.mark.parametrize(
    ("changed", "found", "same"),
    [
        ({}, (4, 9), True),
        ({"total": None}, (4, None), True),
        ({"modified": None}, (4, 9), True),
        ({"total": 8}, (4, 8), False),  # a tag that was kept by mistake
        ({"modified": "Thu, 02 Jan 2020 00:00:00 GMT"}, (4, 9), False),
        ({"etag": '"2"'}, (4, 9), False),
        ({"etag": None}, (4, 9), False),
        ({}, (3, 9), False),
        ({}, None, False),
    ],
)
def test_a_part_goes_on_only_with_what_every_header_says_is_the_same_file(changed, found, same):
    assert continues(KNOWN, replace(KNOWN, **changed), 4, found) is same


def test_without_marks_a_known_digest_allows_to_go_on_and_finds_a_splice(tmp_path):
    behaviour = Behaviour(CONTENT, etag=None, cuts=[2_000_000])
    assert get(behaviour, tmp_path, sha256=DIGEST) == CONTENT
    assert behaviour.asked == ["", "bytes=2000000-"]
    (tmp_path / "file.zip").unlink()

    behaviour = Behaviour(OTHER, etag=None)
    with serving(behaviour) as address:
        (tmp_path / "file.zip.part").write_bytes(CONTENT[:1_000_000])
        facts = Facts(f"{address}/file.zip", None, None, len(OTHER))
        (tmp_path / "file.zip.part.json").write_text(json.dumps(vars(facts)))
        digest = hashlib.sha256(OTHER).hexdigest()
        assert fetched(f"{address}/file.zip", tmp_path / "file.zip", sha256=digest) == digest
    assert behaviour.asked == ["bytes=1000000-", ""]


@pytest.mark.parametrize("left", ["nothing", "no facts", "broken facts", "another address"])
def test_a_part_that_nobody_vouches_for_is_thrown_away(left, tmp_path):
    (tmp_path / "file.zip.part").write_bytes(OTHER[:1_000_000])
    facts = {"url": "http://other/file.zip", "etag": '"1"', "modified": None, "total": 3_000_000}
    told = {"broken facts": "{", "another address": json.dumps(facts), "nothing": "[]"}
    if left in told:
        (tmp_path / "file.zip.part.json").write_text(told[left])
    behaviour = Behaviour(CONTENT)
    assert get(behaviour, tmp_path) == CONTENT
    assert behaviour.asked == [""]


def test_a_part_that_is_all_of_the_file_needs_no_request(tmp_path):
    behaviour = Behaviour(CONTENT)
    with serving(behaviour) as address:
        (tmp_path / "file.zip.part").write_bytes(CONTENT)
        facts = Facts(f"{address}/file.zip", '"1"', None, len(CONTENT))
        (tmp_path / "file.zip.part.json").write_text(json.dumps(vars(facts)))
        fetched(f"{address}/file.zip", tmp_path / "file.zip")
    assert behaviour.asked == []
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


def test_a_busy_server_is_asked_again_a_few_times(tmp_path, waits, caplog):
    assert get(Behaviour(CONTENT, answers=[503, 429, 500]), tmp_path) == CONTENT
    assert waits == [1, 2, 4]
    assert "try 3 of 4: the server answers 500" in caplog.text
    (tmp_path / "file.zip").unlink()
    behaviour = Behaviour(CONTENT, answers=[503] * 9)
    refuse(behaviour, tmp_path, "503")
    assert len(behaviour.asked) == 4


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_asking_again_would_not_change_is_asked_once(status, tmp_path, waits):
    refuse(Behaviour(CONTENT, answers=[status]), tmp_path, str(status))
    assert waits == []


def test_a_server_that_never_sends_more_than_a_bit_is_given_up(tmp_path):
    behaviour = Behaviour(CONTENT, cuts=[500] * 50)
    refuse(behaviour, tmp_path, "the connection ended after")
    assert len(behaviour.asked) == 4


def test_a_trickle_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "SLOWEST", 1_000_000)
    monkeypatch.setattr(fetching, "PATIENCE", 0.1)
    monkeypatch.setattr(fetching, "TRIES", 2)
    refuse(Behaviour(CONTENT, pause=0.01), tmp_path, "bytes in")


def test_a_server_that_does_not_answer_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "PATIENCE", 0.2)
    monkeypatch.setattr(fetching, "TRIES", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/file.zip"
        with pytest.raises(UserError, match=r"no answer|timed out"):
            fetched(address, tmp_path / "file.zip")
    with pytest.raises(UserError, match="refused"):
        fetched(address, tmp_path / "file.zip")


def test_a_web_page_is_not_taken_for_the_file(tmp_path):
    page = b"<html>Please log in</html>"
    refuse(Behaviour(page, kind="text/html; charset=utf-8"), tmp_path, "a web page")


def test_more_than_was_allowed_or_fits_is_refused(tmp_path, monkeypatch):
    refuse(Behaviour(CONTENT), tmp_path, "at most 1,000", most=1000)
    refuse(Behaviour(CONTENT, length=False), tmp_path, "more than", most=100_000)
    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: usage)
    refuse(Behaviour(CONTENT), tmp_path, "1,000,000 free")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/a", "host/a.zip", "http://[x/a"])
def test_a_crooked_address_is_one_line(url, tmp_path):
    with pytest.raises(UserError, match=r"address|Invalid|download"):
        fetched(url, tmp_path / "a")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with serving(Behaviour(CONTENT)) as address, pytest.raises(UserError, match="can't write"):
        fetched(f"{address}/file.zip", tmp_path / "file" / "file.zip")


def test_the_digest_is_of_the_whole_file(tmp_path):
    (tmp_path / "a").write_bytes(CONTENT)
    assert file_sha256(tmp_path / "a") == DIGEST


@pytest.mark.parametrize("user", ["user:geheim@", "geheim@", "us:er:gehe@geheim@", "us:ge#geheim@"])
def test_a_password_in_an_address_is_neither_sent_nor_shown(user, tmp_path, waits):
    how = Behaviour(CONTENT)
    with serving(how) as address, pytest.raises(UserError, match="user and password") as error:
        fetched(f"{address.replace('//', f'//{user}')}/file.zip", tmp_path / "file.zip")
    assert "geheim" not in str(error.value)
    assert (how.asked, waits, list(tmp_path.iterdir())) == ([], [], [])
    with pytest.raises(UserError, match="no http:// or https://") as error:
        fetched(f"ftp://{user}host/file.zip", tmp_path / "file.zip")
    assert "geheim" not in str(error.value)


@pytest.mark.parametrize("rest", ["", "/a.zip", ":80/a.zip", "host:port/a.zip", "[::1/a.zip"])
def test_an_address_without_a_server_is_refused_at_once(rest, tmp_path, waits):
    with pytest.raises(UserError, match="names no server"):
        fetched(f"http://{rest}", tmp_path / "file.zip")
    assert (waits, list(tmp_path.iterdir())) == ([], [])
