"""Stores as they are on a network: a web server, and a server that speaks S3."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest

from tests.extras import need
from tests.translation.many.files import (
    members_of,
    order,
    picture,
    pixels_of,
    png,
    tar_of,
    write_folder,
    write_shard,
)
from unpaired.errors import UserError
from unpaired.translation.many import record
from unpaired.translation.many.share import Share
from unpaired.translation.many.stores import open_store
from unpaired.translation.many.work import translate_many


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *given: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "web"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_pictures_and_shards_of_a_web_server(tmp_path: Path, run: Path, web: str) -> None:
    need("aiohttp")
    write_folder(tmp_path / "web/folder", 6)
    shard = {f"{n}.png": png(picture(n)) for n in range(3)}
    write_shard(tmp_path / "web/s-0.tar", shard)
    loose = translate_many(order(run, f"{web}/folder", out=tmp_path / "loose"))
    assert loose.translated == 6
    made = (tmp_path / "loose/0/0005.png").read_bytes()
    np.testing.assert_array_equal(pixels_of(made), 255 - picture(5))
    shards = translate_many(order(run, f"{web}/s-{{0..1}}.tar", out=tmp_path / "shards"))
    assert (shards.translated, len(shards.failed)) == (3, 1)
    assert shards.failed[0][0] == f"{web}/s-1.tar"
    with pytest.raises(UserError, match="cannot write"):
        translate_many(order(run, tmp_path / "web/folder", out=f"{web}/out"))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[fsspec.AbstractFileSystem]:
    need("s3fs")
    server_of = need("moto.server").ThreadedMotoServer
    server = server_of(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.filesystem("s3").clear_instance_cache()
    files = fsspec.filesystem("s3")
    files.mkdir("bucket")
    yield files
    files.rm("bucket", recursive=True)
    server.stop()


def test_an_s3_bucket_by_two_ranks(run: Path, bucket: fsspec.AbstractFileSystem) -> None:
    for number in range(20):
        bucket.pipe_file(f"bucket/in/{number % 3}/{number:04}.png", png(picture(number)))
    bucket.pipe_file("bucket/in/broken.png", b"broken")
    asked = order(run, "s3://bucket/in", out="s3://bucket/out")
    for _ in range(2):
        for rank in range(2):
            translate_many(asked, Share(rank, 2))
    whole, missing = record.total(open_store("s3://bucket/out"), 2)
    assert (whole.skipped, whole.translated, len(whole.failed), missing) == (20, 0, 1, [])
    assert whole.failed[0][0] == "s3://bucket/in/broken.png"
    for number in range(20):
        made = bucket.cat_file(f"bucket/out/{number % 3}/{number:04}.png")
        np.testing.assert_array_equal(pixels_of(made), 255 - picture(number))
    with pytest.raises(UserError, match="another format"):
        translate_many(order(run, "s3://bucket/in", out="s3://bucket/out", format="tif"))
    bucket.pipe_file("bucket/s-0.tar", tar_of({"a.png": png(picture(0)), "a.cls": b"7"}))
    translate_many(order(run, "s3://bucket/s-0.tar", out="s3://bucket/shards"))
    made = members_of(bucket.cat_file("bucket/shards/s-0.tar"))
    assert list(made) == ["a.png", "a.cls"]


def test_a_bucket_that_is_not_there_is_one_line(
    run: Path, tmp_path: Path, bucket: fsspec.AbstractFileSystem
) -> None:
    for sources, out in (("s3://nowhere/in", tmp_path / "out"), (tmp_path, "s3://nowhere/out")):
        with pytest.raises(UserError) as error:
            translate_many(order(run, sources, out=out))
        assert "\n" not in str(error.value)
        assert "nowhere" in str(error.value)
