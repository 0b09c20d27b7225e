"""An exported network whose translations are known, pictures and shards for it."""

import io
import tarfile
from pathlib import Path

import numpy as np
import onnx
import PIL.Image
from onnx import TensorProto, helper

from tests.translation.fakes import card
from unpaired.data.decode import read_picture
from unpaired.translation.exporting.label import INPUT, KEY, OUTPUT, label_of
from unpaired.translation.many.work import Order


def write_negative(place: Path, direction: str = "x2y") -> Path:
    """An .onnx file as from `unpaired export`; white becomes black. Starts in a second."""
    shape = ["n", 3, "height", "width"]
    graph = helper.make_graph(
        [helper.make_node("Neg", [INPUT], [OUTPUT])],
        "negative",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {KEY: label_of(card(), direction, 4, "negative").write()})
    place.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, place)
    return place


def picture(number: int, height: int = 8, width: int = 8) -> np.ndarray:
    """Differs from every other."""
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_folder(folder: Path, count: int) -> Path:
    """PNGs 0000.png, 0001.png, ... in sub-folders of 50."""
    for number in range(count):
        path = folder / f"{number // 50}" / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(picture(number)))
    return folder


def write_shard(place: Path, members: dict[str, bytes]) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(tar_of(members))
    return place


def tar_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def members_of(content: bytes) -> dict[str, bytes]:
    """In the order they stand, each once."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        found = [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]
    assert len(dict(found)) == len(found), "a name stands there twice"
    return dict(found)


def pixels_of(content: bytes) -> np.ndarray:
    with PIL.Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


def check_folder(out: Path, count: int) -> None:
    """Every output of `write_folder` is there once, whole and right, and nothing else."""
    found = [p for p in out.rglob("*") if p.is_file() and ".unpaired" not in p.parts]
    files = sorted(found, key=lambda p: p.name)
    assert [p.name for p in files] == [f"{n:04}.png" for n in range(count)]
    for number, path in enumerate(files):
        np.testing.assert_array_equal(read_picture(path).pixels, 255 - picture(number))


def order(run: Path, *sources: object, out: object, **changes: object) -> Order:
    return Order(run, tuple(map(str, sources)), str(out), backend="onnx", **changes)  # type: ignore[arg-type]
