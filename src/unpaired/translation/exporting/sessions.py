"""Exported files, opened to be run by OpenVINO or ONNX Runtime; without torch."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from unpaired.errors import UserError
from unpaired.shortage import is_shortage
from unpaired.translation.exporting.label import INPUT, KEY, OUTPUT, Label, read_label

Images = NDArray[np.float32]
"""(N, C, H, W) in [-1, 1]; sides are multiples of what the label says."""
Precision = Literal["auto", "fp32", "bf16", "fp16"]
End = tuple[str, int, int | str | None]
"""Of a graph: name, number of axes, channels; no number: any."""


class Session(Protocol):
    """A file that is open: one network in one direction."""

    computes: str
    """What computes and in which numbers, for people: "OpenVINO in bf16"."""

    def __call__(self, images: Images) -> Images:
        """(N, C, H, W) -> (N, C', H, W).

        Raises: UserError if the file can't be run; MemoryError.
        """


class OpenVINOSession:
    """An .xml (with its .bin) or .onnx file on this machine's CPU.

    Args: precision: "auto" is bfloat16 where the CPU computes in it, else float32.
    Raises: UserError if OpenVINO is missing, the file is damaged, no label of ours is in it, or
        the label says other than the graph.
    """

    def __init__(self, path: Path, precision: Precision = "auto") -> None:
        self.path, self.model = path, _read_by_openvino(path)
        places = ([KEY], ["framework", KEY])  # in .xml, in .onnx
        found = [self.model.get_rt_info(p).astype(str) for p in places if self.model.has_rt_info(p)]
        self.label = read_label(found[0] if found else None, str(path))
        check_graph(path, self.label, *(_ends(e) for e in (self.model.inputs, self.model.outputs)))
        if precision == "fp16":
            raise UserError("--precision fp16 does nothing on a CPU; give bf16 or fp32")
        core = need("openvino").Core()
        bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        chosen = ("bf16" if bf16 else "fp32") if precision == "auto" else precision
        hints = {
            "INFERENCE_PRECISION_HINT": {"fp32": "f32"}.get(chosen, chosen),
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads := threads_of_rank():
            hints["INFERENCE_NUM_THREADS"] = str(threads)
        try:
            self.request = core.compile_model(self.model, "CPU", hints).create_infer_request()
        except Exception as error:
            raise UserError(damaged(path, error)) from None
        self.computes = f"OpenVINO in {chosen}"

    def __call__(self, images: Images) -> Images:
        with running(self.path):
            made: Images = self.request.infer({INPUT: images})[0]
        return checked(made, images, self.label, self.path)


class ONNXSession:
    """An .onnx file on this machine's CPU, in float32.

    Raises: UserError if ONNX Runtime is missing, the file is damaged, no label of ours is in it,
        or the label says other than the graph.
    """

    computes = "ONNX Runtime in fp32"

    def __init__(self, path: Path, precision: Precision = "auto") -> None:
        if precision not in ("auto", "fp32"):
            raise UserError(
                f"--precision {precision}: ONNX Runtime computes in fp32 on a CPU; drop it, or "
                "give --backend openvino"
            )
        runtime = need("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is said by the error
        options.intra_op_num_threads = threads_of_rank() or 0
        check_there(path)
        try:
            self.session = runtime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its classes have no common name
            raise UserError(damaged(path, error)) from None
        text = self.session.get_modelmeta().custom_metadata_map.get(KEY)
        self.path, self.label = path, read_label(text, str(path))
        inputs, outputs = (
            [(e.name, len(e.shape), e.shape[1] if len(e.shape) > 1 else None) for e in ends]
            for ends in (self.session.get_inputs(), self.session.get_outputs())
        )
        check_graph(path, self.label, inputs, outputs)

    def __call__(self, images: Images) -> Images:
        with running(self.path):
            made: Images = self.session.run(None, {INPUT: images})[0]
        return checked(made, images, self.label, self.path)


def threads_of_rank() -> int | None:
    """Each rank's part of the processors, where several share a machine; None: all of them."""
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    return max(1, (os.cpu_count() or 1) // ranks) if ranks > 1 else None


def _read_by_openvino(path: Path) -> Any:
    need("openvino")
    check_there(path)
    kind = "onnx" if path.suffix.lower() == ".onnx" else "ir"
    if kind == "ir" and not path.with_suffix(".bin").is_file():
        raise UserError(
            f'"{path}" holds no weights, they are in "{path.with_suffix(".bin").name}", which is '
            "missing; put it beside the .xml"
        )
    # by its name: given a damaged file, `read_model` would try every other format, and say so
    front = import_module("openvino.frontend").FrontEndManager().load_by_framework(kind)
    try:
        return front.convert(front.load(str(path)))
    except Exception as error:
        raise UserError(damaged(path, error)) from None


def _ends(ports: Any) -> list[End]:
    """Of OpenVINO's ports; a port may have several names, ours among them."""
    ends: list[End] = []
    for port in ports:
        names, shape = port.get_names(), port.partial_shape
        name = next((name for name in (INPUT, OUTPUT) if name in names), "")
        axes = len(shape) if shape.rank.is_static else 4
        known = shape.rank.is_static and axes > 1 and shape[1].is_static
        ends.append((name, axes, shape[1].get_length() if known else None))
    return ends


def check_graph(path: Path, label: Label, inputs: list[End], outputs: list[End]) -> None:
    """Raises: UserError if the graph is not what the label says."""
    for ends, name, channels in zip((inputs, outputs), (INPUT, OUTPUT), label.channels):
        if len(ends) != 1 or ends[0][:2] != (name, 4):
            raise UserError(
                f'"{path}" is not as its label says: no single "{name}" of four axes; export it '
                "again"
            )
        found = ends[0][2]
        if isinstance(found, int) and found != channels:
            raise UserError(
                f'"{path}" is not as its label says: "{name}" of {found} channels, not {channels}; '
                "export it again"
            )


@contextlib.contextmanager
def running(path: Path) -> Iterator[None]:
    """Raises: MemoryError if memory is short, UserError for anything else that is raised."""
    try:
        yield
    except Exception as error:  # their classes have no common name
        if is_shortage(error):
            raise MemoryError(_reason(error)) from None
        raise UserError(f'"{path}" can\'t be run ({_reason(error)}); export it again') from None


def checked(made: Images, images: Images, label: Label, path: Path) -> Images:
    """What a session made of the images. Raises: UserError if it has another shape."""
    count, _, height, width = images.shape
    expected = count, label.channels[1], height, width
    if made.shape != expected:
        raise UserError(
            f'"{path}" makes {made.shape} where {expected} is expected; export it again'
        )
    return made


def need(module: str) -> Any:
    """A part of the extra `export`. Raises: UserError if it is missing."""
    try:
        return import_module(module)
    except ImportError:
        raise UserError(f"this needs {module}; run: pip install 'unpaired[export]'") from None


def check_there(path: Path) -> None:
    """Raises: UserError if there is no such file, or nothing in it."""
    if not path.is_file():
        raise UserError(f'no file at "{path}"; check the path')
    if not path.stat().st_size:
        raise UserError(f'"{path}" is damaged (it is empty); export it again')


def damaged(path: Path, error: Exception) -> str:
    """What to say of a file that can't be opened."""
    return f'"{path}" is damaged ({_reason(error)}); export it again'


def _reason(error: Exception) -> str:
    """The last line that says something."""
    said = str(error).strip().splitlines()
    reason = next((line.strip() for line in reversed(said) if line.strip()), type(error).__name__)
    return reason[:200]
