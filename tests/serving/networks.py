"""Exported networks that no training made: what each does is known."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.translation.fakes import card
from unpaired.translation.exporting.label import INPUT, KEY, OUTPUT, label_of


def write_slow(place: Path) -> Path:
    """The mean of 63 x 63 pixels: seconds of work for a megapixel."""
    kernel = np.zeros((3, 3, 63, 63), np.float32)
    kernel[np.arange(3), np.arange(3)] = 1 / 63**2
    blur = helper.make_node("Conv", [INPUT, "kernel"], [OUTPUT], pads=[31] * 4)
    return write(place, [blur], {"kernel": kernel}, 3)


def write_grey(place: Path) -> Path:
    """8-bit colour to 16-bit grey: the mean of the channels."""
    mean = helper.make_node("ReduceMean", [INPUT], [OUTPUT], axes=[1], keepdims=1)
    return write(place, [mean], {}, 1, dtype_y="uint16", channels_y=1)


def write(place: Path, nodes: list, weights: dict, channels: int, **facts: object) -> Path:
    """From 3 channels to so many."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", count, "height", "width"])
        for name, count in ((INPUT, 3), (OUTPUT, channels))
    ]
    held = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "known", ends[:1], ends[1:], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    label = label_of(card(**facts), "x2y", 4, place.stem)
    helper.set_model_props(model, {KEY: label.write()})
    onnx.save(model, place)
    return place
