import json
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from tests.translation.exporting.runs import exported, shake, tiny_method
from tests.translation.fakes import card
from unpaired import UserError, __version__
from unpaired.cli import run
from unpaired.networks.unet_vit import UNetViT
from unpaired.translation.exporting import export as module
from unpaired.translation.exporting.export import TOLERANCE, export, write_export
from unpaired.translation.exporting.label import label_of
from unpaired.translation.exporting.plain import plain
from unpaired.translation.exporting.sessions import OpenVINOSession
from unpaired.translation.loading import load

FAMILIES = {
    "transposed": {},
    "resize, affine": {"upsample": "resize", "norm": "instance-affine"},
    "batch": {"norm": "batch", "dropout": True},
    "none": {"norm": "none"},
    "unet": {"kind": "unet", "depth": 3, "dropout": True},
}


def network_of(family: str) -> tuple[nn.Module, int]:
    """(network, multiple)."""
    if family == "vit":
        torch.manual_seed(0)
        network = UNetViT(1, 3, 4, 2, 8, 2, 2).eval()
        shake(network)
        return network, 4
    method, about = tiny_method(**FAMILIES[family])
    return method.G, about.multiple


@pytest.mark.parametrize("family", [*FAMILIES, "vit"])
def test_the_rewritten_network_gives_the_same_numbers(family: str) -> None:
    network, multiple = network_of(family)
    rewritten = plain(network)
    for count, high, wide in ((1, 16, 16), (3, 16 + multiple, 16 + 3 * multiple)):
        images = torch.rand(count, 1, high, wide) * 2 - 1
        with torch.no_grad():
            torch.testing.assert_close(rewritten(images), network(images), atol=2e-6, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "openvino", "torch"])
@pytest.mark.parametrize("family", [*FAMILIES, "vit"])
def test_every_family_is_exported_with_free_sides_and_batch(family, format, tmp_path) -> None:
    network, multiple = network_of(family)
    label = label_of(card(channels_x=1, multiple=multiple), "x2y", 16, "harbour")
    place = tmp_path / f"file{module.SUFFIXES[format]}"
    made = write_export(network, label, place, format)
    assert made.error < 1e-5
    assert len({shape[0] for shape in made.shapes}) == len(made.shapes) == 3


def test_an_export_says_what_it_is_and_where_it_comes_from() -> None:
    _, place, xml = exported()
    (entry,) = onnx.load(place).metadata_props
    label = json.loads(entry.value)
    assert entry.key == "unpaired"
    assert label["unpaired"] == __version__
    assert (label["run"], label["step"], label["direction"]) == ("harbour", 7, "x2y")
    assert label["input"] == {
        "name": "images",
        "layout": "NCHW",
        "dtype": "float32",
        "range": [-1, 1],
        "channels": 1,
        "range_stands_for": "uint16",
        "sides_are_multiples_of": 4,
        "smallest_side": 16,
    }
    assert label["output"]["channels"] == 3
    assert label["output"]["range_stands_for"] == "uint8"
    again = OpenVINOSession(xml).label
    assert (again.direction, again.smallest, again.run) == ("x2y", 16, "harbour")
    assert again.card == OpenVINOSession(place).label.card


def test_an_export_names_no_file_of_the_machine_that_made_it() -> None:
    for file in exported()[1:]:
        assert str(Path(module.__file__).parents[3]).encode() not in file.read_bytes()


def test_an_export_runs_without_us() -> None:
    run_folder, place, _ = exported()
    images = np.random.default_rng(0).uniform(-1, 1, (2, 1, 24, 40)).astype(np.float32)
    (made,) = onnxruntime.InferenceSession(place).run(None, {"images": images})
    expected = load(run_folder, precision="fp32", backend="torch").run(
        images.transpose(0, 2, 3, 1), "x2y"
    )
    np.testing.assert_allclose(made.transpose(0, 2, 3, 1), expected, atol=1e-5)


def test_an_export_that_differs_is_refused_and_not_kept(tmp_path, monkeypatch) -> None:
    def wrong(program, label, path):
        path.write_bytes(b"wrong")
        network, _ = network_of("transposed")
        return lambda images: network(torch.from_numpy(images)).numpy() + 2 * TOLERANCE

    monkeypatch.setitem(module.WRITERS, "onnx", wrong)
    monkeypatch.setattr(module, "program_of", lambda network, label: None)
    network, multiple = network_of("transposed")
    label = label_of(card(channels_x=1, multiple=multiple), "x2y", 16, "harbour")
    with pytest.raises(UserError, match=r"differs from the original by 2\.0e-03"):
        write_export(network, label, tmp_path / "a.onnx", "onnx")
    assert list(tmp_path.iterdir()) == []


def test_wrong_exports_are_one_line_before_the_work(tmp_path, monkeypatch) -> None:
    run_folder, _, xml = exported()
    monkeypatch.setattr(module, "write_export", None)  # whatever calls it fails
    for arguments, message in (
        ({}, "is there already; give --overwrite"),
        ({"out": tmp_path / "a.xml"}, r"must end in \.onnx"),
        ({"out": tmp_path / "none" / "a.onnx"}, "in no folder"),
        ({"direction": "a2b"}, "translates x2y and y2x"),
        ({"checkpoint": "8"}, "no checkpoint"),
        ({"format": "openvino", "out": xml}, "there already"),
        ({"format": "openvino", "out": xml.with_suffix(".xml")}, "there already"),
    ):
        with pytest.raises(UserError, match=message):
            export(run_folder, **arguments)
    with pytest.raises(UserError, match="no run at"):
        export(tmp_path / "nothing")


@pytest.mark.parametrize("format", ["onnx", "openvino", "torch"])
def test_a_full_disk_is_one_line_and_nothing_is_left(format, tmp_path, monkeypatch, capsys) -> None:
    trained = exported()[0]  # made before the disk is full
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    place = tmp_path / f"a{module.SUFFIXES[format]}"
    arguments = [str(trained), "--format", format, "--out", str(place)]
    assert run(["export", *arguments]) == 2
    said = capsys.readouterr().err
    assert f'cannot write "{place}": the disk is full' in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_an_export_that_was_killed_left_does_not_block_the_next(tmp_path, monkeypatch) -> None:
    young, old = (tmp_path / f".unpaired-export-{name}" for name in ("young", "old"))
    for left in (young, old):
        left.mkdir()
        (left / "a.onnx").write_bytes(b"half")
    os.utime(old, (0, 0))

    def fails(*_):
        raise RuntimeError("got as far as the exporter")

    monkeypatch.setattr(module, "program_of", fails)
    with pytest.raises(UserError, match="got as far as the exporter"):
        export(exported()[0], tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == [young]  # somebody may be at work there


def test_killed_between_two_files_an_old_graph_never_stands_beside_new_weights(
    tmp_path, monkeypatch
) -> None:
    def writes(program, label, path):
        path.write_bytes(b"new graph")
        path.with_suffix(".bin").write_bytes(b"new weights")

    replace = Path.replace

    def killed(self, target):
        if self.suffix == ".xml":
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setitem(module.WRITERS, "openvino", writes)
    monkeypatch.setattr(module, "program_of", lambda network, label: None)
    monkeypatch.setattr(module, "compare", lambda *_: (0.0, ()))
    monkeypatch.setattr(Path, "replace", killed)
    place = tmp_path / "a.xml"
    place.write_bytes(b"old graph")
    place.with_suffix(".bin").write_bytes(b"old weights")
    with pytest.raises(KeyboardInterrupt):
        write_export(nn.Identity(), label_of(card(), "x2y", 16, "a"), place, "openvino")
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_method_that_searches_cannot_be_exported(tmp_path, monkeypatch) -> None:
    method, about = tiny_method()
    del method.G
    method.title = "CoGAN"
    monkeypatch.setattr(module, "load_method", lambda folder: (method, about))
    with pytest.raises(UserError, match=r"CoGAN translates by a search.*can't be exported"):
        export(exported()[0], tmp_path / "a.onnx")


def test_the_command_writes_the_error_it_found(tmp_path, capsys) -> None:
    numbers = tmp_path / "numbers.json"
    place = tmp_path / "back.onnx"
    arguments = ["--direction", "y2x", "--out", str(place), "--json", str(numbers)]
    assert run(["export", str(exported()[0]), *arguments]) == 0
    assert "largest difference to torch in float32" in capsys.readouterr().out
    found = json.loads(numbers.read_text())
    assert found["direction"] == "y2x"
    assert 0 <= found["error"] < found["tolerance"] == TOLERANCE
    assert sorted(p.name for p in tmp_path.iterdir()) == ["back.onnx", "numbers.json"]
    shutil.rmtree(tmp_path)
