import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.translation.exporting.runs import exported
from tests.translation.fakes import noise, save
from unpaired import Translator, UserError, cache
from unpaired.cli import run
from unpaired.translation import loading
from unpaired.translation.tiling import tiler

WITHOUT_TORCH = """
import sys
from unpaired.cli import run
code = run(["translate", *sys.argv[1:]])
assert "torch" not in sys.modules, "torch was imported"
sys.exit(code)
"""


@pytest.mark.parametrize("which", ["onnx by OpenVINO", "onnx by ONNX Runtime", "xml"])
def test_an_exported_file_translates_as_its_run_does(which: str) -> None:
    folder, by_onnx, xml = exported()
    translator = {
        "onnx by OpenVINO": lambda: loading.load(by_onnx, precision="fp32"),
        "onnx by ONNX Runtime": lambda: loading.load(by_onnx, backend="onnx"),
        "xml": lambda: loading.load(xml, precision="fp32"),
    }[which]()
    original = Translator.load(folder, precision="fp32")
    assert translator.computes.startswith("ONNX" if which.endswith("Runtime") else "OpenVINO")
    for picture in (noise(1, 9), noise(37, 62), noise(16, 16, channels=1)):
        made, expected = translator(picture), original(picture)
        assert made.dtype == expected.dtype
        assert made.shape == expected.shape
        assert np.abs(made.astype(int) - expected).max() <= 1
        assert (made != expected).mean() < 0.01


def test_a_batch_gives_the_same_pixels_as_one_by_one() -> None:
    translator = loading.load(exported()[2])
    pictures = [noise(20, 22, seed=i) for i in range(5)]
    for alone, together in zip([translator(picture) for picture in pictures], translator(pictures)):
        np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("kind", [1, 2], ids=["onnx", "xml"])
def test_translating_with_an_exported_file_imports_no_torch(kind: int, tmp_path: Path) -> None:
    photo = save(tmp_path / "photo.png", noise(33, 18))
    numbers = tmp_path / "numbers.json"
    arguments = [exported()[kind], photo, "--out", tmp_path / "out", "--json", numbers]
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "photo.png").is_file()
    assert "computed by OpenVINO" in done.stderr
    assert json.loads(numbers.read_text())["backend"].startswith("OpenVINO")


def test_a_run_is_exported_once_and_then_translates_without_torch(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    folder, _, xml = exported()
    place = loading.cache_folder("exported")
    made = []

    def fake_export(checkpoint, out, **options):  # what the real one does is tested elsewhere
        made.append(options["direction"])
        for suffix in (".xml", ".bin"):
            shutil.copy(xml.with_suffix(suffix), out.with_suffix(suffix))

    monkeypatch.setattr("unpaired.translation.exporting.export.export", fake_export)
    monkeypatch.setattr(loading, "_may_have_gpu", lambda: False)
    photo = save(tmp_path / "photo.png", noise(33, 18))
    assert run(["translate", str(folder), str(photo), "--out", str(tmp_path / "1")]) == 0
    assert "exporting the network, once" in capsys.readouterr().err
    assert run(["translate", str(folder), str(photo), "--out", str(tmp_path / "2")]) == 0
    assert made == ["x2y"]
    assert place in next(place.rglob("*.xml")).parents
    arguments = [folder, photo, "--out", tmp_path / "3", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "1/photo.png").read_bytes() == (tmp_path / "3/photo.png").read_bytes()


def test_a_damaged_kept_export_is_made_anew_once(monkeypatch, tmp_path, capsys) -> None:
    folder, _, xml = exported()
    checkpoint = loading.find_checkpoint(folder, "latest")
    monkeypatch.setenv("UNPAIRED_CACHE", str(tmp_path))
    made = []

    def fake_export(checkpoint, out, **options):
        made.append(out)
        for suffix in (".xml", ".bin"):
            shutil.copy(xml.with_suffix(suffix), out.with_suffix(suffix))

    def is_a_folder(place: Path) -> None:
        place.unlink()
        place.mkdir()

    monkeypatch.setattr("unpaired.translation.exporting.export.export", fake_export)
    place = loading.kept(checkpoint, "x2y", ".xml")
    for number, damage in enumerate(
        (
            lambda: place.with_suffix(".bin").write_bytes(b"short"),
            lambda: place.write_bytes(b"g" * place.stat().st_size),
            lambda: is_a_folder(place),
        ),
        2,
    ):
        damage()
        assert loading.kept(checkpoint, "x2y", ".xml") == place
        assert "what was kept is damaged" in capsys.readouterr().err
        loading.kept(checkpoint, "x2y", ".xml")
        assert len(made) == number
        assert place.read_bytes() == xml.read_bytes()


def test_a_full_cache_is_named_with_its_variable(monkeypatch, tmp_path) -> None:
    checkpoint = loading.find_checkpoint(exported()[0], "latest")
    monkeypatch.setenv("UNPAIRED_CACHE", str(tmp_path))
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"the disk is full.*set \$UNPAIRED_CACHE"):
        loading.kept(checkpoint, "x2y", ".xml")


def test_a_backend_that_cannot_be_opened_is_one_line_before_any_picture(
    monkeypatch, tmp_path, capsys
) -> None:
    def fails(*_):
        raise UserError("no room")

    monkeypatch.setattr(loading, "kept", fails)
    save(tmp_path / "in" / "a.png", noise(8, 8))
    save(tmp_path / "in" / "b.png", noise(8, 8))
    arguments = [str(exported()[0]), str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    arguments += ["--backend", "openvino"]
    assert run(["translate", *arguments]) == 2
    assert capsys.readouterr().err == "unpaired: error: no room\n"
    for name in "ab":
        save(tmp_path / "out" / f"{name}.png", noise(8, 8))
    assert run(["translate", *arguments]) == 0  # nothing is left to be translated


def test_auto_takes_torch_quietly_where_openvino_is_missing_or_a_gpu_may_be(monkeypatch) -> None:
    folder = exported()[0]
    monkeypatch.setattr(loading, "_may_have_gpu", lambda: True)
    assert loading.load(folder).computes.startswith("torch")
    monkeypatch.setattr(loading, "_may_have_gpu", lambda: False)
    found = loading.util.find_spec
    monkeypatch.setattr(loading.util, "find_spec", lambda m: None if m == "openvino" else found(m))
    assert loading.load(folder).computes.startswith("torch")


def test_auto_falls_back_to_torch_where_the_export_fails_and_says_so(monkeypatch, capsys) -> None:
    def fails(*_):
        raise UserError("no room")

    monkeypatch.setattr(loading, "kept", fails)
    monkeypatch.setattr(loading, "_may_have_gpu", lambda: False)
    translator = loading.load(exported()[0], precision="fp32")
    picture = noise(21, 17)
    expected = Translator.load(exported()[0], precision="fp32")(picture)
    np.testing.assert_array_equal(translator(picture), expected)
    assert translator.computes == "torch in fp32"
    assert capsys.readouterr().err == "no room; torch translates instead\n"
    with pytest.raises(UserError, match="no room"):
        loading.load(exported()[0], backend="openvino")(picture)


def test_large_pictures_go_through_torch_or_are_refused(monkeypatch, tmp_path) -> None:
    folder, by_onnx, xml = exported()
    monkeypatch.setattr(tiler, "WHOLE", 500)
    monkeypatch.setattr(loading, "kept", lambda *_: xml)
    large, small = tiler.Picture(noise(30, 30)), tiler.Picture(noise(20, 20))
    translator = loading.load(folder, backend="openvino", precision="fp32")
    tiled = tiler.Tiler(translator, None)
    expected = Translator.load(folder, precision="fp32").pictures([large])[0].pixels
    made = tiled.pictures([large])[0].pixels
    assert np.abs(made.astype(int) - expected).max() <= 1
    assert translator.computes == "torch in fp32"
    tiled.pictures([small])
    assert translator.computes == "OpenVINO in fp32, torch in fp32"
    alone = tiler.Tiler(loading.load(by_onnx), None)
    assert len(alone.pictures([small])) == 1
    with pytest.raises(UserError, match="give the run folder for more"):
        alone.pictures([large])
    with pytest.raises(UserError, match="give the run folder"):
        tiler.Tiler(loading.load(by_onnx), None, "exact")


def foreign(path: Path) -> Path:
    """An ONNX file that others made: y = tanh(x)."""
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, 8, 8]) for n in "xy"]
    graph = helper.make_graph([helper.make_node("Tanh", ["x"], ["y"])], "g", ends[:1], ends[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path
    )
    return path


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_files_that_are_not_ours_or_damaged_are_one_line(backend, tmp_path, capsys) -> None:
    _, by_onnx, xml = exported()
    wrong = {foreign(tmp_path / "foreign.onnx"): "does not say that unpaired made it"}
    for name, content in (
        ("empty.onnx", b""),
        ("garbage.onnx", b"garbage" * 99),
        ("half.onnx", by_onnx.read_bytes()[: by_onnx.stat().st_size // 2]),
    ):
        (tmp_path / name).write_bytes(content)
        wrong[tmp_path / name] = "damaged"
    wrong[tmp_path / "missing.onnx"] = "no file at"
    if backend == "openvino":
        (tmp_path / "bad.xml").write_text("<net")
        (tmp_path / "bad.bin").write_bytes(b"")
        shutil.copy(xml, tmp_path / "alone.xml")
        shutil.copy(xml, tmp_path / "short.xml")
        (tmp_path / "short.bin").write_bytes(xml.with_suffix(".bin").read_bytes()[:100])
        wrong |= {
            tmp_path / "bad.xml": "damaged",
            tmp_path / "alone.xml": '"alone.bin", which is missing',
            tmp_path / "short.xml": "damaged",
        }
    for file, message in wrong.items():
        photo = str(save(tmp_path / "photo.png", noise(8, 8)))
        arguments = [str(file), photo, "--out", str(tmp_path / "out"), "--backend", backend]
        assert run(["translate", *arguments]) == 2, file
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
        assert str(file) in said


def test_what_a_backend_cannot_do_is_one_line(tmp_path) -> None:
    folder, by_onnx, xml = exported()
    (tmp_path / "a.pt2").write_bytes(b"x")
    for source, options, message in (
        (by_onnx, {"device": "cuda"}, "runs on the CPU"),
        (folder, {"device": "cuda", "backend": "onnx"}, "runs on the CPU"),
        (by_onnx, {"backend": "onnx", "precision": "bf16"}, "computes in fp32"),
        (by_onnx, {"precision": "fp16"}, "give bf16 or fp32"),
        (by_onnx, {"backend": "torch"}, "give the run folder"),
        (xml, {"backend": "onnx"}, "run by OpenVINO alone"),
        (xml.with_suffix(".bin"), {}, "give the .xml"),
        (tmp_path / "a.pt2", {}, "programs of your own"),
    ):
        with pytest.raises(UserError, match=message):
            loading.load(source, **options)
    with pytest.raises(UserError, match="translates x2y"):
        loading.load(by_onnx)(noise(8, 8), "y2x")


def test_exports_not_used_for_longest_are_forgotten(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(cache, "LARGEST", 250)
    for age, name in enumerate("cba"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x2y.bin").write_bytes(b"." * 100)
        os.utime(tmp_path / name, (1000 + age, 1000 + age))
    cache.forget_oldest(tmp_path / "a")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]
