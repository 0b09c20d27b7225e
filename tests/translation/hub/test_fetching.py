"""Repositories of the Hub as RUN: what is fetched, what is refused, and what works offline."""

import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from tests.networks.foreign import resnet
from tests.training.runs import resealed
from tests.translation.fakes import noise
from tests.translation.fakes import save as save_picture
from tests.translation.hub.conftest import point_at
from tests.translation.hub.standin import Hub
from tests.translation.hub.test_pushing import pictures, said
from unpaired import Translator, UserError
from unpaired.cli import run
from unpaired.translation.hub.names import HubName, hub_name
from unpaired.translation.hub.packing import Publishing, pack

CLOSED = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def packed(trained, tmp_path_factory) -> dict[str, bytes]:
    """What a push of the run brings."""
    folder = tmp_path_factory.mktemp("packed") / "a"
    files = pack(trained, folder, HubName("ann/a"), Publishing())
    return {file.name: file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def net() -> torch.nn.Module:
    torch.manual_seed(0)
    return resnet(k=2, blocks=1)


def refused(name: str, **options: object) -> str:
    with pytest.raises(UserError) as error:
        Translator.from_pretrained(name, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "name", ["ann/a", "ann/a.b-c_d", "a1/B@main", "ann/a@refs/pr/1", "ann/a@v1.0"]
)
def test_names_of_repositories(name):
    repo, _, revision = name.partition("@")
    assert hub_name(name) == HubName(repo, revision or None)


@pytest.mark.parametrize(
    "name",
    ["a", "./a", "../a", "/a/b", "a/b/c", "a/b.pth", "a/.b", "a//b", "a/b@", "a/b@../c", "a b/c"],
)
def test_names_of_none(name):
    assert hub_name(name) is None


def test_it_works_offline_once_it_is_in_the_cache(hub: Hub, packed, tmp_path, monkeypatch, capsys):
    hub.make("ann/a", packed)
    online = pictures("ann/a", tmp_path, "a")
    point_at(CLOSED, tmp_path, monkeypatch)
    capsys.readouterr()
    assert pictures("ann/a", tmp_path, "b") == online
    assert "taking what was fetched before" in capsys.readouterr().err
    line = said(capsys, "translate", "ann/other", "x.png", "--out", tmp_path / "c")
    assert (
        'no run at "ann/other": check the path; as a name of the Hub: the Hub can\'t be reached'
        in line
    )


def test_nobody_is_asked_for_a_path_or_a_published_name(hub: Hub, run_folder, tmp_path):
    pictures(run_folder, tmp_path, "a")
    with pytest.raises(UserError, match="no run at"):
        Translator.load("runs/a/b")
    assert hub.asked == []


def test_only_what_translates_is_asked_for(hub: Hub, packed):
    hub.make("ann/a", {**packed, "../../evil.json": b"{}", "pytorch_model.bin": b"", "run.py": b""})
    Translator.from_pretrained("ann/a")
    files = {asked.rsplit("/", 1)[-1] for asked in hub.asked if "/resolve/" in asked}
    assert files == {"checkpoint.json", "weights.safetensors"}


def test_the_arguments_of_the_hubs_own_mixin(hub: Hub, packed, tmp_path, monkeypatch):
    repo = hub.make("ann/a", packed)
    first = repo.branches["main"]
    repo.commit({"README.md": b""}, "Empty it")
    options = {"revision": first, "cache_dir": tmp_path / "mine", "token": "hf_ann_may_write"}
    assert "neither a run of unpaired" in refused("ann/a")
    assert "not in the cache whole" in refused("ann/a", local_files_only=True, **options)
    made = Translator.from_pretrained("ann/a", **options)
    assert made.source.is_relative_to(tmp_path / "mine")
    asked = len(hub.asked)
    Translator.from_pretrained("ann/a", local_files_only=True, **options)
    assert len(hub.asked) == asked
    Translator.from_pretrained("ann/a", force_download=True, **options)
    assert sum("/cdn/" in one for one in hub.asked[asked:]) == 1
    assert 'has no revision "never"' in refused("ann/a", revision="never")


@pytest.mark.parametrize(
    ("facts", "token", "words"),
    [
        (None, None, "the Hub has no ann/a, or it is private"),
        (None, "hf_bob_may_read", "the Hub has no ann/a, or it is private"),
        ({"private": True}, "hf_bob_may_read", "the Hub has no ann/a, or it is private"),
        ({"gated": True}, "hf_bob_may_read", "ann/a is gated; accept its terms on its page"),
        ({}, "hf_nobody_knows", "the Hub doesn't know the token it was given (401)"),
    ],
)
def test_who_may_not_read_is_told_what_to_do(hub: Hub, packed, facts, token, words):
    if facts is not None:
        hub.make("ann/a", packed, **facts)
    told = refused("ann/a", token=token)
    assert words in told
    assert "hf_" not in told.replace("hf auth", "")


def test_its_owner_may_read_a_private_one(hub: Hub, packed, monkeypatch):
    hub.make("ann/a", packed, private=True)
    monkeypatch.setenv("HF_TOKEN", "hf_ann_may_write")
    assert Translator.from_pretrained("ann/a").directions == ("x2y", "y2x")


@pytest.mark.parametrize(("status", "words"), [(429, "too many requests"), (500, "fails with 500")])
def test_a_hub_that_fails_is_told_in_a_line(hub: Hub, packed, status, words):
    hub.make("ann/a", packed)
    hub.fails["GET /api/models"] = status
    assert words in refused("ann/a")


def test_what_answers_but_is_not_the_hub(hub: Hub, packed):
    hub.make("ann/a", packed)
    hub.fails["GET /api/models"] = 200
    assert "what answers for ann/a is not the Hub" in refused("ann/a")


def test_weights_that_are_not_what_was_pushed_are_refused(hub: Hub, packed):
    other = bytearray(packed["weights.safetensors"])
    other[-1] ^= 1
    hub.make("ann/a", {**packed, "weights.safetensors": bytes(other)})
    assert "its content is not what was written" in refused("ann/a")


def test_a_card_that_was_changed_is_refused(hub: Hub, packed):
    card = {**json.loads(packed["checkpoint.json"]), "step": 7}
    hub.make("ann/a", {**packed, "checkpoint.json": json.dumps(card).encode()})
    assert "is damaged or missing" in refused("ann/a")


def test_more_than_anybody_needs_is_refused_before_it_is_fetched(hub: Hub, packed):
    hub.make("ann/a", packed)
    hub.claims["weights.safetensors"] = 10**12
    assert "1000 GB of weights" in refused("ann/a")
    assert not any("/resolve/" in asked for asked in hub.asked)


def test_a_card_of_any_length_is_not_fetched(hub: Hub, packed):
    hub.make("ann/a", {**packed, "checkpoint.json": b" " * (1 << 21)})
    assert "has a checkpoint.json of 2,097,152 bytes" in refused("ann/a")
    assert not any("/resolve/" in asked for asked in hub.asked)


def test_a_card_of_networks_that_would_fill_the_memory_is_refused(hub: Hub, packed):
    card = json.loads(packed["checkpoint.json"])
    card["settings"]["discriminator"]["filters"] = 4096  # GBs of them
    hub.make("ann/a", {**packed, "checkpoint.json": resealed(card).encode()})
    assert "it is not what was trained" in refused("ann/a")


def test_a_file_that_comes_short_is_refused_and_not_kept(hub: Hub, packed):
    hub.make("ann/a", packed)
    hub.cut = 7
    assert "it did not come whole" in refused("ann/a")
    hub.cut = 0
    assert Translator.from_pretrained("ann/a").directions == ("x2y", "y2x")


def test_half_a_repository_is_refused(hub: Hub, packed):
    hub.make("ann/a", {"checkpoint.json": packed["checkpoint.json"]})
    assert "has checkpoint.json but no weights.safetensors" in refused("ann/a")


def in_pickle(held: object) -> bytes:
    file = io.BytesIO()
    torch.save(held, file)
    return file.getvalue()


@torch.no_grad()
def assert_is(net: torch.nn.Module, name: str) -> None:
    pixels = noise(32, 32)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    expected = ((net(x)[0].permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).numpy()
    made = Translator.from_pretrained(name, precision="fp32")(pixels).astype(float)
    assert np.abs(made - expected).max() <= 1


def test_weights_that_others_published_are_recognised(hub: Hub, net, tmp_path, monkeypatch):
    state = {key: value.contiguous() for key, value in net.state_dict().items()}
    hub.make("bob/mixin", {"model.safetensors": save(state), "config.json": b"{}"})
    hub.make("bob/reference", {"a/latest_net_G_A.pth": in_pickle(state), "README.md": b""})
    many = {"latest_net_G.pth": in_pickle(state), "latest_net_D.pth": b"no weights at all"}
    hub.make("bob/several", many)
    for name in ("bob/mixin", "bob/reference", "bob/several"):
        assert_is(net, name)
    assert run(["import", "bob/several", "--out", str(tmp_path / "run")]) == 0
    assert_is(net, str(tmp_path / "run"))
    point_at(CLOSED, tmp_path, monkeypatch)
    assert_is(net, "bob/mixin")


def test_what_would_run_when_read_is_not_read(hub: Hub, tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    hub.make("eve/a", {"generator.pth": pickle.dumps(Evil())})
    hub.make("eve/b", {"pytorch_model.bin": in_pickle({"x": Evil()})})
    for name in ("eve/a", "eve/b"):
        refused(name)
    assert not (tmp_path / "ran").exists()


def test_repositories_without_anything_of_use(hub: Hub):
    hub.make("bob/text", {"README.md": b"hello", "modeling.py": b""})
    assert "neither a run of unpaired (checkpoint.json) nor a file" in refused("bob/text")
    hub.make("bob/many", {"a.pth": b"", "b.pth": b""})
    assert "hf download bob/many FILE --local-dir DIR" in refused("bob/many")
    hub.make("bob/other", {"model.safetensors": save({"bert.weight": torch.zeros(3)})})
    assert "holds no generator" in refused("bob/other")


def test_every_verb_that_takes_a_run_for_translating_takes_it(hub: Hub, packed, tmp_path, capsys):
    hub.make("ann/a", packed)
    assert run(["export", "ann/a", "--format", "torch", "--out", str(tmp_path / "a.pt2")]) == 0
    assert (tmp_path / "a.pt2").is_file()
    line = said(capsys, "import", "ann/a", "--out", tmp_path / "run")
    assert "is a run on the Hub, which needs no import" in line


@pytest.mark.parametrize("file", ["../../up.pth", "/top.pth", "a\\..\\..\\up.pth", "C:up.pth"])
def test_no_file_leads_out_of_the_cache(hub, file):
    hub.make("ann/a", {file: b"weights"})
    assert "holds neither" in refused("ann/a")


def test_a_card_says_nothing_to_the_terminal_and_pads_to_no_end(hub, packed, tmp_path, capfd):
    picture = save_picture(tmp_path / "in" / "a.png", noise(32, 48))
    card = json.loads(packed["checkpoint.json"])
    for name, change in {
        "ann/a": {"method": "\x1b[31mred"},
        "ann/b": {"multiple": 10**9},
    }.items():
        hub.make(name, packed | {"checkpoint.json": resealed(card | change).encode()})
        assert run(["translate", name, str(picture), "--out", str(tmp_path / "out")]) == 2
        told = capfd.readouterr().err
        assert "\x1b" not in told
        assert "Traceback" not in told
