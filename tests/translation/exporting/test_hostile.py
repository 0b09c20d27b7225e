"""Exported files whose label or graph was changed by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.translation.exporting.runs import exported
from tests.translation.fakes import noise, save
from unpaired import UserError
from unpaired.cli import run
from unpaired.translation.exporting.sessions import running


def relabelled(path: Path, change: Callable[[Any], Any]) -> Path:
    """The exported .onnx with another label: change(tree) edits it, or returns its text."""
    model = onnx.load(exported()[1])
    (entry,) = model.metadata_props
    tree = json.loads(entry.value)
    text = change(tree)
    entry.value = text if isinstance(text, str) else json.dumps(tree)
    onnx.save(model, path)
    return path


def renamed(path: Path) -> Path:
    """The exported .onnx with another name for its input."""
    model = onnx.load(exported()[1])
    model.graph.input[0].name = "pictures"
    for node in model.graph.node:
        node.input[:] = ["pictures" if name == "images" else name for name in node.input]
    onnx.save(model, path)
    return path


CHANGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "infinite": (lambda tree: tree["input"].update(smallest_side=float("inf")), "damaged label"),
    "huge side": (lambda tree: tree["input"].update(smallest_side=10**9), "damaged label"),
    "a fraction": (lambda tree: tree["input"].update(smallest_side=16.5), "damaged label"),
    "true": (lambda tree: tree["input"].update(smallest_side=True), "damaged label"),
    "deep": (lambda tree: "[" * 100_000, "damaged label"),
    "huge multiple": (lambda tree: tree["card"].update(multiple=10**15), "multiples"),
    "no multiple": (lambda tree: tree["card"].update(multiple=0), "multiple|type"),
    "both ways": (lambda tree: tree["card"].update(directions=["x2y", "y2x"]), "damaged label"),
    "other way": (lambda tree: tree["card"].update(directions=["y2x"]), "damaged label"),
    "into": (lambda tree: tree["card"].update(channels_x=3), '"images" of 1 channels, not 3'),
    "out of": (lambda tree: tree["card"].update(channels_y=1), '"translations" of 3 channels'),
}


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize("name", [*CHANGES, "renamed"])
def test_a_hostile_file_is_one_line(name: str, backend: str, tmp_path: Path, capsys) -> None:
    change, message = CHANGES.get(name, (None, 'no single "images"'))
    file = tmp_path / "file.onnx"
    relabelled(file, change) if change else renamed(file)
    photo = save(tmp_path / "photo.png", noise(8, 8))
    arguments = [str(file), str(photo), "--out", str(tmp_path / "out"), "--backend", backend]
    assert run(["translate", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("unpaired: error:")
    assert said.count("\n") == 1
    assert str(file) in said
    assert any(part in said for part in message.split("|"))


def test_only_what_is_short_of_memory_is_called_so() -> None:
    match = r'"a.onnx" can\'t be run \(bad shape\); export it again'
    with pytest.raises(UserError, match=match), running(Path("a.onnx")):
        raise RuntimeError("somewhere in memory.cpp:\nbad shape\n")
    for error in (RuntimeError("std::bad_alloc"), np.exceptions.AxisError("out of memory")):
        with pytest.raises(MemoryError), running(Path("a.onnx")):
            raise error
