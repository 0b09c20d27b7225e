"""Weights from elsewhere become an ordinary run, which every verb takes."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.data.servers import served
from tests.evaluation.corners import Corners
from tests.networks.foreign import resnet, unet
from tests.test_whole import left_by_a_killed_process
from tests.training.runs import write_dataset
from tests.translation.fakes import noise, save
from unpaired import Translator
from unpaired.cli import run
from unpaired.data.decode import read_picture
from unpaired.errors import UserError
from unpaired.evaluation.instruments import Instruments
from unpaired.evaluation.reporting.report import write_report
from unpaired.locks import held
from unpaired.networks import download
from unpaired.training import finding
from unpaired.training.checkpoint import load_method
from unpaired.training.config import read_yaml
from unpaired.training.finding import find_checkpoint
from unpaired.translation import published, resolving
from unpaired.translation.many.work import Order, translate_many
from unpaired.translation.resolving import resolve


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch) -> Path:
    """A cache folder of each test's own."""
    monkeypatch.setenv("UNPAIRED_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    return resnet(k=2, blocks=1)


@pytest.fixture
def file(net, tmp_path) -> Path:
    torch.save(net.state_dict(), tmp_path / "horses.pth")
    return tmp_path / "horses.pth"


@torch.no_grad()
def expected(net: nn.Module, pixels: np.ndarray) -> np.ndarray:
    """The network's own translation of (H, W, 3) uint8, sides multiples of 4."""
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    return ((net(x)[0].permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).numpy()


def assert_translates(source: Path | str, net: nn.Module, tmp_path: Path, *more: str) -> None:
    """`unpaired translate` gives what the network gives, but for a last rounding."""
    pixels = noise(64, 96)
    picture = save(tmp_path / "in" / "a.png", pixels)
    arguments = [source, picture, "--out", tmp_path / "out", "--precision", "fp32", "--overwrite"]
    assert run(["translate", *map(str, arguments), *more]) == 0
    made = read_picture(tmp_path / "out" / "a.png").pixels.astype(float)
    assert made.std() > 5
    assert np.abs(made - expected(net, pixels)).max() <= 1


def said(capsys, *arguments: object) -> str:
    """The one line of a command that is refused."""
    capsys.readouterr()
    assert run([str(argument) for argument in arguments]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("unpaired: error:")
    return line


def test_a_file_of_weights_translates_at_once_and_is_kept(file, net, tmp_path, kept, capsys):
    assert_translates(file, net, tmp_path, "--backend", "torch")
    assert "ResNet of 1 block, 2 filters, 3 -> 3 channels" in capsys.readouterr().err
    [folder] = (kept / "imported").iterdir()
    before = (folder / "config.yaml").stat().st_mtime_ns
    assert resolve(file) == folder
    assert (folder / "config.yaml").stat().st_mtime_ns == before
    # what was kept is damaged: it is made again
    weights = find_checkpoint(folder) / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert_translates(file, net, tmp_path, "--backend", "torch")
    # another file of that name is another import
    other = resnet(k=2, blocks=2)
    torch.save(other.state_dict(), file)
    assert_translates(file, other, tmp_path, "--backend", "torch")


def test_what_another_process_finished_meanwhile_stays(file, monkeypatch):
    find = finding.find_checkpoint

    def looked_too_early(folder: Path) -> Path:
        """It isn't there at the first look, and is as soon as one goes on."""
        monkeypatch.setattr(finding, "find_checkpoint", find)
        (resolve(file) / "theirs").touch()
        raise UserError(f'no run at "{folder}"')

    monkeypatch.setattr(finding, "find_checkpoint", looked_too_early)
    assert (resolve(file) / "theirs").exists()


def test_one_who_imports_is_waited_for_and_not_for_ever(file, kept, monkeypatch):
    monkeypatch.setattr(resolving, "PATIENCE", 0.0)
    (kept / "imported").mkdir(parents=True)
    with (
        held(kept / "imported", 0.0, print),
        pytest.raises(UserError, match="try again when it is done"),
    ):
        resolve(file)
    assert resolve(file).is_dir()


def test_what_is_kept_is_of_one_name_and_one_version(file, tmp_path, monkeypatch):
    folder = resolve(file)
    named = resolve(file.rename(tmp_path / "zebras.pth"))
    assert named != folder
    assert read_yaml(named / "config.yaml").settings.G.file == "zebras.pth"
    monkeypatch.setattr(resolving, "VERSION", resolving.VERSION + 1)
    assert resolve(tmp_path / "zebras.pth") not in (folder, named)
    monkeypatch.undo()
    monkeypatch.setenv("UNPAIRED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(resolving, "__version__", "0.0.0")
    assert resolve(tmp_path / "zebras.pth") not in (folder, named)


def test_an_imported_run_says_where_it_comes_from(file, tmp_path, capsys):
    out, facts = tmp_path / "run", tmp_path / "facts.json"
    assert run(["import", str(file), "--out", str(out), "--json", str(facts)]) == 0
    assert "x2y: ResNet of 1 block" in capsys.readouterr().out
    config = read_yaml(out / "config.yaml")
    _, card = load_method(find_checkpoint(out))
    assert config.method == card.method == "imported"
    assert config.settings.G.file == "horses.pth"
    assert len(config.settings.G.sha256) == 64
    assert config.settings.G.layout.filters == 2
    assert json.loads(facts.read_text())["G"]["sha256"] == config.settings.G.sha256
    assert card.settings["G"]["layout"]["kind"] == "resnet"
    assert "imported from horses.pth" in card.data
    assert card.directions == ("x2y",)


def test_it_holds_one_way_and_is_not_trained(file, tmp_path, capsys):
    out = tmp_path / "run"
    run(["import", str(file), "--out", str(out)])
    picture = save(tmp_path / "a.png", noise(16, 16))
    there = ("translate", out, picture, "--out", tmp_path / "out", "--direction", "y2x")
    assert "holds one way only" in said(capsys, *there)
    assert "can't be trained" in said(capsys, "train", "--out", out, "--resume")
    assert "can't be trained" in said(capsys, "train", "--config", out / "config.yaml")
    assert "without pictures" in said(capsys, "evaluate", out)
    assert "not empty" in said(capsys, "import", file, "--out", out)


def test_two_files_are_a_run_of_both_ways(net, tmp_path):
    torch.manual_seed(1)
    back = unet("instance", k=2)
    torch.save(net.state_dict(), tmp_path / "a.pth")
    torch.save({"netG": back.state_dict()}, tmp_path / "b.pth")
    out = tmp_path / "run"
    files = [str(tmp_path / "a.pth"), "--back", str(tmp_path / "b.pth")]
    assert run(["import", *files, "--out", str(out)]) == 0
    translator = Translator.load(out, precision="fp32")
    assert translator.directions == ("x2y", "y2x")
    assert translator.card.multiple == 32
    pixels = noise(64, 64)
    for direction, network in (("x2y", net), ("y2x", back)):
        made = translator(pixels, direction).astype(float)
        assert np.abs(made - expected(network, pixels)).max() <= 1


def test_files_that_do_not_fit_each_other_are_refused(net, tmp_path, capsys):
    torch.save(net.state_dict(), tmp_path / "a.pth")
    torch.save(resnet(k=2, blocks=1, ends=(1, 3)).state_dict(), tmp_path / "grey.pth")
    back = ("--back", tmp_path / "grey.pth", "--out", tmp_path / "run")
    assert "3 to 3 are needed" in said(capsys, "import", tmp_path / "a.pth", *back)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pth", "grey.pth"]


def blurred_and_deep() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {"CUT": resnet(k=2, blocks=1, down=True, up=True), "unet": unet("affine", k=2)}


@pytest.mark.parametrize("kind", blurred_and_deep())
def test_exact_tiles_give_the_same(kind, tmp_path):
    network = blurred_and_deep()[kind]
    torch.save(network.state_dict(), tmp_path / "net.pth")
    where = (tmp_path / "net.pth", network, tmp_path)
    assert_translates(*where, "--backend", "torch", "--tiles", "exact")


@pytest.mark.slow
@pytest.mark.parametrize("kind", blurred_and_deep())
@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_exported_files_give_the_same(kind, format, tmp_path, monkeypatch):
    pytest.importorskip(f"{format}runtime" if format == "onnx" else format)
    monkeypatch.chdir(tmp_path)
    network = blurred_and_deep()[kind]
    torch.save(network.state_dict(), "net.pth")
    assert run(["export", "net.pth", "--format", format]) == 0
    made = {"onnx": "net-x2y.onnx", "openvino": "net-x2y.xml"}[format]
    assert_translates(made, network, tmp_path, "--backend", format)


def test_it_is_scored_on_pictures_that_are_named_when_it_is_imported(tmp_path):
    file = tmp_path / "small.pth"
    torch.save(unet("instance", k=1).state_dict(), file)
    data = str(write_dataset(tmp_path / "data"))
    out = tmp_path / "run"
    assert run(["import", str(file), "--back", str(file), "--out", str(out), "--data", data]) == 0
    page, judged = write_report(out, Instruments(Corners(), limit=2))
    assert [side.direction for side in judged.evaluation.sides] == ["x2y", "y2x"]
    text = page.read_text(encoding="utf-8")
    assert "how they were trained is not known here" in text
    assert not any(word in text for word in ("learned from", "epochs", "train longer", "--resume"))


def test_a_published_name_is_downloaded_once(net, tmp_path, kept, monkeypatch, capsys):
    web = tmp_path / "web"
    web.mkdir()
    torch.save(net.state_dict(), web / "horse2zebra.pth")
    with served(web) as (address, asked):
        one = published.Published(f"{address}/horse2zebra.pth", "horses -> zebras")
        monkeypatch.setitem(published.PUBLISHED, "horse2zebra", one)
        assert_translates("horse2zebra", net, tmp_path, "--backend", "torch")
        assert_translates("horse2zebra", net, tmp_path, "--backend", "torch")
        assert asked == ["GET /horse2zebra.pth"]
    assert [p.name for p in (kept / "published").iterdir()] == ["horse2zebra.pth"]
    # it is there, so there need be no network
    assert run(["import", "horse2zebra", "--out", str(tmp_path / "run")]) == 0
    assert address in (tmp_path / "run" / "config.yaml").read_text()


def test_a_path_that_is_there_goes_before_a_name(net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(net.state_dict(), "horse2zebra")
    assert_translates("horse2zebra", net, tmp_path, "--backend", "torch")


@pytest.mark.parametrize("sent", ["a page", "half of it", "nothing"])
def test_what_is_no_file_of_weights_is_not_kept(sent, net, tmp_path, kept, monkeypatch, capsys):
    web = tmp_path / "web"
    web.mkdir()
    torch.save(net.state_dict(), web / "horse2zebra.pth")
    whole = (web / "horse2zebra.pth").read_bytes()
    content = {"a page": b"<html>moved</html>", "half of it": whole[: len(whole) // 2]}
    (web / "horse2zebra.pth").write_bytes(content.get(sent, b""))
    with served(web) as (address, _):
        one = published.Published(f"{address}/horse2zebra.pth", "horses -> zebras")
        monkeypatch.setitem(published.PUBLISHED, "horse2zebra", one)
        line = said(capsys, "import", "horse2zebra", "--out", tmp_path / "run")
    assert "nothing was kept" in line
    assert not list((kept / "published").iterdir())
    assert not (tmp_path / "run").exists()


def test_a_connection_that_ends_early_leaves_nothing(tmp_path, monkeypatch):
    class Short:
        length = 1000

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read1(self, _):
            return sent.pop() if sent else b""

    sent = [b"x" * 100]
    monkeypatch.setattr(download, "answer_of", lambda *_: Short())
    with pytest.raises(UserError, match=r"ended after 100 of 1000 bytes.*put that file into"):
        download.downloaded("http://somewhere/a.pth", tmp_path / "a.pth")
    assert not list(tmp_path.iterdir())


def test_without_a_network_it_says_what_to_put_where(tmp_path, kept, monkeypatch, capsys):
    one = published.Published("http://127.0.0.1:9/sat2map.pth", "aerial photos -> maps")
    monkeypatch.setitem(published.PUBLISHED, "pix2pix:sat2map", one)
    line = said(capsys, "import", "pix2pix:sat2map", "--out", tmp_path / "run")
    where = f"put that file into {kept / 'published'} as pix2pix-sat2map.pth"
    assert "can't download http://127.0.0.1:9/sat2map.pth" in line
    assert where in line


def test_names_are_listed_and_a_wrong_one_is_guessed(capsys):
    assert run(["import", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == len(published.PUBLISHED) == 23
    assert listed[4].split(maxsplit=1) == ["horse2zebra", "horses -> zebras"]
    line = said(capsys, "translate", "horse2zebr", "a.png", "--out", "out")
    assert "did you mean horse2zebra?" in line


def test_the_catalog_leads_to_the_authors_host_and_its_pairs_are_mutual():
    for name, one in published.PUBLISHED.items():
        assert one.url.startswith("http://efrosgans.eecs.berkeley.edu/")
        assert one.url.endswith(f"/{name.removeprefix('pix2pix:')}.pth")
        assert ("/pix2pix/" in one.url) == name.startswith("pix2pix:")
        if one.back:
            assert published.PUBLISHED[one.back].back == name


def test_a_share_of_many_pictures_takes_weights_too(file, net, tmp_path):
    pixels = noise(16, 16)
    save(tmp_path / "in" / "a.png", pixels)
    places = (str(tmp_path / "in"),), str(tmp_path / "out")
    assert translate_many(Order(file, *places, precision="fp32", backend="torch")).translated == 1
    made = read_picture(tmp_path / "out" / "a.png").pixels.astype(float)
    assert np.abs(made - expected(net, pixels)).max() <= 1


def test_a_file_too_large_for_weights_is_refused_before_it_is_read(tmp_path, kept, capsys):
    with (tmp_path / "a.pth").open("wb") as file:
        file.truncate(1 << 42)
    assert run(["translate", str(tmp_path / "a.pth"), "x.jpg", "--out", str(tmp_path / "o")]) == 2
    assert "is 4398.0 GB" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "darwin", reason="names there are UTF-8")
def test_names_of_files_are_any_bytes(file, net, tmp_path):
    odd = file.rename(tmp_path / os.fsdecode(b"h\xff\n\x1b[2J.pth"))
    assert_translates(odd, net, tmp_path)


@pytest.mark.parametrize("out", ["", ".", "..", "sub/.."])
def test_a_run_needs_a_name_of_its_own(out, file, tmp_path, monkeypatch, capsys):
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert run(["import", str(file), "--out", out]) == 2
    assert "has no name of its own" in capsys.readouterr().err
    assert not list((tmp_path / "sub").iterdir())


def test_what_a_killed_import_left_is_removed_by_the_next(file, tmp_path):
    out = tmp_path / "runs" / "a"
    left_by_a_killed_process(out)
    assert len(list(out.parent.iterdir())) == 1
    assert run(["import", str(file), "--out", str(out)]) == 0
    assert list(out.parent.iterdir()) == [out]


def test_what_a_file_says_does_not_reach_the_terminal_as_it_is(tmp_path, capsys):
    torch.save({"\x1b[2J\x07": torch.zeros(2)}, tmp_path / "a.pth")
    assert run(["import", str(tmp_path / "a.pth"), "--out", str(tmp_path / "o")]) == 2
    said = capsys.readouterr().err.rstrip("\n")
    assert r"\x1b[2J\x07" in said
    assert said.isprintable()
