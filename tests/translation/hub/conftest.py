"""The stand-in of the Hub, where huggingface_hub looks for it; a run to publish."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.training.runs import tiny_config, write_dataset
from tests.translation.hub.standin import serving
from unpaired.training.run import train


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty one; caches of the test's own, no token, and no login of this machine's user."""
    with serving() as hub:
        point_at(hub.url, tmp_path, monkeypatch)
        yield hub


def point_at(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub reads its environment once, at its import."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    # the stand-in knows LFS, older clients no Xet
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True, raising=False)
    monkeypatch.setenv("UNPAIRED_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.fixture
def ann(hub, monkeypatch) -> None:
    """Logged in as somebody who may write to ann/..."""
    monkeypatch.setenv("HF_TOKEN", "hf_ann_may_write")


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A run of a few steps, never to be changed."""
    folder = tmp_path_factory.mktemp("hub") / "very private place"
    data = write_dataset(folder / "secret pictures")
    config = replace(tiny_config(data), data=None, x=f"{data}/trainA", y=f"{data}/trainB", steps=4)
    return train(config, folder / "run")


@pytest.fixture
def run_folder(trained, tmp_path) -> Path:
    """A copy of it."""
    shutil.copytree(trained, tmp_path / "seasons")
    return tmp_path / "seasons"
