"""`unpaired serve` from outside, by HTTP."""

import io
import socket

import numpy as np
import PIL.Image
import pytest
import tifffile

from tests.translation.many.files import picture, png, write_negative
from unpaired.cli import run

pytest.importorskip("litserve")

from tests.serving.networks import write_grey, write_slow
from tests.serving.server import Server, at_work, computed, gone
from tests.translation.exporting.runs import write_run


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    return [
        write_negative(folder / "negative.onnx"),
        write_grey(folder / "grey.onnx"),
        write_slow(folder / "slow.onnx"),
    ]


@pytest.fixture(scope="module")
def server(places):
    negative, *others = places
    with Server(f"plain={negative}", *others, "--batch", 4) as one:
        yield one


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(PIL.Image.open(io.BytesIO(content)))


def test_what_is_served_is_told(server):
    told = server.web.get("/v1/models").json()
    assert [model["name"] for model in told["models"]] == ["plain", "grey", "slow"]
    ways = [[way["name"] for way in model["directions"]] for model in told["models"]]
    assert ways == [["x2y"]] * 3
    assert told["max_pixels"] == 1 << 24


def test_the_first_model_and_direction_are_the_default_and_png_the_format(server):
    pixels = picture(1, 17, 23)
    reply = server.translate(png(pixels))
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(decoded(reply.content), 255 - pixels)


def test_every_picture_of_a_batch_is_what_the_command_line_makes_of_it(tmp_path):
    harbour = write_run(tmp_path / "harbour")  # grey in 16 bits to colour in 8, and back
    sizes = [(33, 40), (36, 37), (20, 20), (36, 40), (33, 40), (33, 40)]
    (tmp_path / "in").mkdir()
    for number, size in enumerate(sizes):  # of 4: all but the third share one
        (tmp_path / "in" / f"{number}.png").write_bytes(png(picture(number, *size)))
    files = sorted((tmp_path / "in").iterdir())
    for way in ("x2y", "y2x"):
        words = ["translate", harbour, tmp_path / "in", "--out", tmp_path / way]
        options = ["--direction", way, "--backend", "torch"]
        assert run([str(word) for word in [*words, *options]]) == 0
    with Server(harbour, "--batch", 4, "--backend", "torch") as one:
        for way in ("x2y", "y2x"):
            replies = []
            with one.frozen():
                for number, file in enumerate(files):
                    replies.append(one.send(file.read_bytes(), direction=way))
                    one.until(queue=number + 1)  # in this order
            for file, reply in zip(files, replies):
                expected = decoded((tmp_path / way / file.name).read_bytes())
                np.testing.assert_array_equal(decoded(reply.result().content), expected)
        assert one.metric("unpaired_batch_size_sum") == 12
        assert one.metric("unpaired_batch_size_count") < 12


def test_sixteen_bits_alpha_and_formats_come_back_as_the_run_gives_them(server):
    grey = np.arange(24 * 24, dtype=np.uint16).reshape(24, 24) * 113
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, grey)
    colour = server.translate(buffer.getvalue())  # grey in 16 bits -> colour in 8
    negative = np.rint(255 - grey / 257)[:, :, None].repeat(3, axis=2)
    np.testing.assert_array_equal(decoded(colour.content), negative)
    back = server.translate(colour.content, model="grey")
    assert back.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(decoded(back.content), negative[:, :, 0] * 257)
    refused = server.translate(colour.content, model="grey", format="jpeg")
    assert refused.status_code == 422
    assert "jpg can't hold" in refused.json()["error"]
    for name, kind in (("jpeg", "JPEG"), ("webp", "WEBP"), ("tiff", "TIFF")):
        reply = server.translate(colour.content, format=name)
        assert reply.headers["content-type"] == f"image/{name}"
        assert PIL.Image.open(io.BytesIO(reply.content)).format == kind
    see_through = np.dstack([picture(3), np.arange(64, dtype=np.uint8).reshape(8, 8)])
    result = decoded(server.translate(png(see_through)).content)
    np.testing.assert_array_equal(result[:, :, 3], see_through[:, :, 3])


def test_orientation_is_applied_and_no_metadata_comes_back(server):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    exif[0x010F] = "secret maker"
    exif.get_ifd(0x8825)[1] = "N"  # GPS
    buffer = io.BytesIO()
    PIL.Image.fromarray(picture(4, 16, 40)).save(
        buffer, "PNG", exif=exif, icc_profile=b"secret profile"
    )
    for name in ("png", "jpeg", "webp", "tiff"):
        reply = server.translate(buffer.getvalue(), format=name)
        image = PIL.Image.open(io.BytesIO(reply.content))
        assert image.size == (16, 40)
        assert not {0x0112: 6, 0x010F: 0, 0x8825: 0}.keys() & (image.getexif().keys() - {0x0112})
        assert "icc_profile" not in image.info
        assert b"secret" not in reply.content
        assert image.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize(
    ("content", "query", "status", "says"),
    [
        (b"", {}, 422, "no picture"),
        (b"no picture at all", {}, 422, "can't be read"),
        (b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n', {}, 422, "a form"),
        (png(picture(1))[:-20], {}, 422, "can't be read"),
        (b"http://127.0.0.1/secret.png", {}, 422, "can't be read"),
        (png(picture(1)), {"model": "../plain"}, 404, "plain, grey, slow"),
        (png(picture(1)), {"direction": "y2x"}, 422, "x2y"),
        (png(picture(1)), {"format": "exe"}, 422, "format"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(server, content, query, status, says):
    reply = server.translate(content, **query)
    assert reply.status_code == status
    assert says in reply.json()["error"]


def test_a_damaged_picture_does_not_harm_those_it_shares_a_batch_with(server):
    damaged = bytearray(png(picture(5, 64, 64)))
    damaged[-300] ^= 0xFF
    whole = [png(picture(seed, 64, 64)) for seed in (6, 7)]
    with server.frozen():
        replies = [server.send(bytes(one)) for one in (whole[0], damaged, whole[1])]
        server.until(queue=3)
    assert [reply.result().status_code for reply in replies] == [200, 422, 200]


def test_a_header_that_promises_too_much_is_refused_before_decoding(server):
    head = bytearray(png(picture(1)))
    head[16:24] = (100_000).to_bytes(4, "big") * 2
    reply = server.translate(bytes(head))
    assert reply.status_code in (413, 422)
    assert reply.elapsed.total_seconds() < 2


def test_headers_keep_other_sites_and_scripts_out(server):
    for path in ("/", "/static/page.js", "/v1/models", "/nothing", "/health/live"):
        heads = server.web.get(path).headers
        assert heads["x-content-type-options"] == "nosniff"
        policy = heads["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "access-control-allow-origin" not in heads
    crossing = server.web.post(
        "/v1/translate", content=png(picture(1)), headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert crossing.status_code == 403
    for name, status in (("localhost", 200), ("[::1]:8000", 200), ("evil.example", 403)):
        assert server.web.get("/v1/models", headers={"Host": name}).status_code == status


def test_the_interface_is_described_as_openapi_wants_it(server):
    validator = pytest.importorskip("openapi_spec_validator")
    told = server.web.get("/openapi.json").json()
    validator.validate(told)
    translate = told["paths"]["/v1/translate"]["post"]
    assert {"200", "401", "413", "422", "429", "503", "504"} <= set(translate["responses"])
    assert "image/*" in translate["requestBody"]["content"]


def test_metrics_count_by_model_direction_and_status(server):
    labels = {"direction": "x2y", "model": "plain"}
    names = ("unpaired_requests_total", "unpaired_pixels_total", "unpaired_request_seconds_count")
    before = [server.metric(name, **labels, **({"status": "200"} if "requests" in name else {}))
              for name in names]  # fmt: skip
    assert server.translate(png(picture(1, 10, 30))).status_code == 200
    after = [server.metric(name, **labels, **({"status": "200"} if "requests" in name else {}))
             for name in names]  # fmt: skip
    assert np.subtract(after, before).tolist() == [1, 300, 1]
    server.translate(b"", model="<script>")
    text = server.web.get("/metrics").text
    assert "script" not in text
    assert server.metric("unpaired_workers_ready") == 1


def test_a_client_that_goes_away_frees_its_place(server):
    content = png(picture(1))
    with server.frozen():
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            head = "POST /v1/translate HTTP/1.1\r\nHost: localhost\r\n"
            head += f"Content-Length: {len(content)}\r\n\r\n"
            client.sendall(head.encode() + content)
            server.until(queue=1)
        server.until(queue=0)
    assert server.translate(content).status_code == 200


def test_who_waits_for_a_worker_that_dies_is_told_and_it_is_started_again(server):
    before, worker = server.metric("unpaired_worker_deaths_total"), server.worker()
    since = computed(worker)
    reply = server.send(png(picture(1, 900, 900)), model="slow")
    at_work(worker, since)
    worker.suspend()
    waiting = server.send(png(picture(2)))  # not begun: it is not lost
    server.until(queue=2)
    worker.kill()
    assert reply.result().status_code == 503
    assert "ended unexpectedly" in reply.result().json()["error"]
    assert server.web.get("/health/ready").status_code == 503
    np.testing.assert_array_equal(decoded(waiting.result().content), 255 - picture(2))
    server.until(ready=True, workers=1)
    assert server.metric("unpaired_worker_deaths_total") == before + 1


def test_a_request_is_not_lost_in_the_hands_of_a_worker_that_dies_idle(server):
    with server.frozen() as worker:
        reply = server.send(png(picture(8)))
        server.until(queue=1)
        worker.kill()
    assert reply.result().status_code == 200


def test_without_its_queue_the_server_tells_all_and_ends_with_1(server):
    server.until(ready=True)
    assert server.health() == {"live": True, "ready": True, "workers": 1, "queue": 0}
    children, worker = server.family(), server.worker()
    since = computed(worker)
    reply = server.send(png(picture(1, 900, 900)), model="slow")
    at_work(worker, since)
    (keeper,) = server.children("unpaired serve")  # a fork of the server
    keeper.kill()
    assert reply.result().status_code == 503
    assert server.process.wait(timeout=20) == 1
    assert gone(children)


@pytest.mark.slow
def test_a_run_folder_is_served_both_ways_as_the_command_line_translates_it(tmp_path):
    harbour, pixels = write_run(tmp_path / "harbour"), picture(1, 33, 40)
    (tmp_path / "a.png").write_bytes(png(pixels))
    with Server(harbour) as one:
        for way in ("x2y", "y2x"):
            words = ["translate", harbour, tmp_path / "a.png", "--out", tmp_path / way]
            assert run([str(word) for word in [*words, "--direction", way]]) == 0
            made = decoded(one.translate(png(pixels), direction=way).content)
            np.testing.assert_array_equal(made, decoded((tmp_path / way / "a.png").read_bytes()))
