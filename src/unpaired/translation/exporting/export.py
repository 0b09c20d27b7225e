"""One direction of a run as one file that other programs can run."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from unpaired.errors import UserError, reason_of
from unpaired.training.checkpoint import load_method
from unpaired.training.finding import find_checkpoint
from unpaired.translation.base import chosen, smallest_side
from unpaired.translation.exporting.label import INPUT, KEY, OUTPUT, Label, label_of
from unpaired.translation.exporting.plain import plain
from unpaired.translation.exporting.sessions import Images, ONNXSession, OpenVINOSession, need
from unpaired.translation.generator import generator_of
from unpaired.translation.resolving import resolve

Format = Literal["onnx", "openvino", "torch"]
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
TOLERANCE = 1e-3
"""Largest difference to the network in float32 that an export may have, in [-1, 1]: an eighth of a
grey level."""

ROOM = 1.2
"""What an export takes on the disk, in bytes of its weights."""

PASSING = ".unpaired-export-"
"""What folders of exports under way begin with."""
LEFT = 3600.0
"""Seconds after which such a folder is taken to be what a killed export left."""

Run = Callable[[Images], Images]


class NotWritten(UserError):  # noqa: N818 - as `Unwritable`
    """The place of an export can't be written; `reason` says why, without advice."""

    def __init__(self, place: Path, reason: str) -> None:
        super().__init__(f'cannot write "{place}": {reason}; choose another --out')
        self.reason = reason


@dataclass(frozen=True)
class Exported:
    """A file that is written, and how far it is from the network it was made of."""

    path: Path
    direction: str
    error: float
    """Largest difference in [-1, 1] to the network in float32, over all of `shapes`."""
    shapes: tuple[tuple[int, int, int], ...]
    """(N, H, W) of the images it was tried on."""


def export(
    run: Path | str,
    out: Path | str | None = None,
    *,
    format: Format = "onnx",
    direction: str | None = None,
    checkpoint: str = "latest",
    overwrite: bool = False,
) -> Exported:
    """Write one direction of a run as a file for ONNX Runtime, OpenVINO or torch.

    The file takes any batch, height and width (multiples of what its label says) and is compared
    with the network at several of them; under its final name it is whole and right, or not there.

    Args:
        run: run folder, checkpoint folder, file of weights or published model.
        out: None: in the run folder (else in the current one), named after it and the direction.
            OpenVINO's weights go beside its .xml into a .bin.
        direction: None: the run's first.
    Raises: UserError if the run can't be read or exported, `out` is there already or can't be
        written, a package is missing, or the file differs from the network by over TOLERANCE.
    """
    folder = find_checkpoint(resolve(run), checkpoint)
    method, card = load_method(folder)
    way = chosen(card, direction)
    network = generator_of(method, way)
    if network is None:
        raise UserError(
            f"{method.title} translates by a search, not by one pass of a network; it can't be "
            "exported"
        )
    home = folder.parent.parent if folder.parent.name == "checkpoints" else folder
    name = home.resolve().name
    if not Path(run).is_dir():  # weights from elsewhere, whose run folder is in the cache
        home, name = Path(), Path(str(run).replace(":", "-")).stem
    place = home / f"{name}-{way}{SUFFIXES[format]}" if out is None else Path(out)
    check_place(place, format, overwrite)
    label = label_of(card, way, smallest_side(card), name)
    return write_export(network, label, place, format)


def write_export(network: nn.Module, label: Label, place: Path, format: Format) -> Exported:
    """`export` of a network in memory; what stands at `place` is replaced.

    Args: network: (N, C, H, W) -> (N, C', H, W) in [-1, 1], in evaluation mode.
    Raises: as `export`.
    """
    passing: Path | None = None
    try:
        _tidy(place.parent)
        passing = Path(tempfile.mkdtemp(prefix=PASSING, dir=place.parent))
        check_room(network, place, format)
        draft = passing / place.name
        with quiet():
            session = WRITERS[format](program_of(network, label), label, draft)
            off, shapes = compare(network, session, label)
        if not off <= TOLERANCE:
            raise UserError(
                f"the exported network differs from the original by {off:.1e}, more than "
                f"{TOLERANCE:.0e}; nothing was kept; try another --format, and please report it"
            )
        files = sorted(passing.iterdir(), key=lambda file: file.suffix == place.suffix)
        if len(files) > 1:  # killed between them, an old graph would run on new weights
            place.unlink(missing_ok=True)
        for file in files:  # the one with the label last
            file.replace(place.with_name(file.name))
    except OSError as error:
        raise NotWritten(place, reason_of(error)) from None
    except UserError:
        raise
    except Exception as error:  # an exporter's, whose classes have no common name
        why = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UserError(f"this network can't be exported to {format}: {why}") from None
    finally:
        if passing:
            shutil.rmtree(passing, ignore_errors=True)
    return Exported(place, label.direction, off, shapes)


def _tidy(folder: Path) -> None:
    """Remove what killed exports left in a folder."""
    for left in folder.glob(f"{PASSING}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT:
                shutil.rmtree(left)


def check_place(place: Path, format: Format, overwrite: bool) -> None:
    """Raises: UserError if the export can't go there."""
    suffix = SUFFIXES[format]
    if place.suffix.lower() != suffix:
        raise UserError(f'--out "{place}" must end in {suffix} for --format {format}')
    if not place.parent.is_dir():
        raise UserError(f'--out "{place}" is in no folder; give a file in an existing folder')
    if not os.access(place.parent, os.W_OK):
        raise NotWritten(place, "its folder is not to be written to")
    for file in {place, *([place.with_suffix(".bin")] if format == "openvino" else [])}:
        if file.is_dir() or (file.exists() and not overwrite):
            raise UserError(f'"{file}" is there already; give --overwrite or another --out')


def check_room(network: nn.Module, place: Path, format: Format) -> None:
    """Exporters on a full disk abort, or blame the network. Raises: NotWritten if it is full."""
    copies = 2 if format == "openvino" else 1  # it is made of an .onnx
    weights = sum(t.numel() for t in network.state_dict().values()) * 4
    needed = int(ROOM * copies * weights)
    if shutil.disk_usage(place.parent).free < needed:
        raise NotWritten(place, f"the disk is full ({needed / 1e6:.1f} MB are needed)")


def program_of(network: nn.Module, label: Label) -> torch.export.ExportedProgram:
    """The network as a graph with free batch, height and width, naming no file of this machine."""
    multiple = label.card.multiple
    least = -(-label.smallest // multiple)
    images = torch.zeros(2, label.channels[0], (least + 2) * multiple, (least + 3) * multiple)
    count = torch.export.Dim("count", min=1, max=1 << 16)
    high, wide = (torch.export.Dim(side, min=1, max=1 << 16) for side in ("high", "wide"))
    shapes = ({0: count, 2: multiple * high, 3: multiple * wide},)
    program = torch.export.export(_Named(plain(network)), (images,), dynamic_shapes=shapes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


class _Named(nn.Module):
    """Names the input."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        made: Tensor = self.network(images)
        return made


def write_onnx(program: torch.export.ExportedProgram, label: Label, path: Path) -> Run:
    """One .onnx file with the label in its metadata."""
    need("onnx")
    need("onnxscript")
    need("onnxruntime")
    onnx_program = torch.onnx.export(
        program, (), dynamo=True, verbose=False, input_names=[INPUT], output_names=[OUTPUT]
    )
    assert onnx_program is not None
    model = onnx_program.model
    for node in model.graph:  # notes of the exporter, with paths of this machine
        node.metadata_props.clear()
    model.metadata_props.clear()
    model.metadata_props[KEY] = label.write()
    model.producer_name = "unpaired"
    onnx_program.save(path)
    return ONNXSession(path)


def write_openvino(program: torch.export.ExportedProgram, label: Label, path: Path) -> Run:
    """An .xml file with the label, and a .bin file with the weights in float32."""
    openvino = need("openvino")
    between = path.with_suffix(".onnx")
    write_onnx(program, label, between)
    model = openvino.Core().read_model(between)
    model.set_rt_info(label.write(), KEY)
    openvino.save_model(model, path, compress_to_fp16=False)
    between.unlink()
    return OpenVINOSession(path, "fp32")


def write_torch(program: torch.export.ExportedProgram, label: Label, path: Path) -> Run:
    """A .pt2 file for `torch.export.load`, the label among its extra files."""
    content = io.BytesIO()  # into a file, torch would abort where the disk is full
    torch.export.save(program, content, extra_files={KEY: label.write()})
    path.write_bytes(content.getbuffer())
    network = torch.export.load(path).module()
    return lambda images: network(torch.from_numpy(images)).numpy()


WRITERS: dict[Format, Callable[[Any, Label, Path], Run]] = {
    "onnx": write_onnx,
    "openvino": write_openvino,
    "torch": write_torch,
}


@torch.inference_mode()
def compare(
    network: nn.Module, run: Run, label: Label
) -> tuple[float, tuple[tuple[int, int, int], ...]]:
    """The largest difference over images of several sizes and batches, and (N, H, W) of these.

    Half waves, half noise, so that norms have something to norm.
    """
    step, rng = label.card.multiple, np.random.default_rng(0)
    small = -(-label.smallest // step) * step
    large = max(small, -(-160 // step) * step)
    shapes = ((1, small, small), (3, small + step, small + 2 * step), (2, large, large + step))
    worst = 0.0
    for count, high, wide in shapes:
        shape = (count, label.channels[0], high, wide)
        waves = np.sin(np.arange(wide) / 7 + 2 * np.pi * rng.random(shape[:3])[..., None])
        images = (0.5 * waves + rng.uniform(-0.5, 0.5, shape)).astype(np.float32)
        expected = network(torch.from_numpy(images)).numpy()
        made = run(images)
        if made.shape != expected.shape or not np.isfinite(made).all():
            return float("inf"), shapes
        worst = max(worst, float(np.abs(made - expected).max()))
    return worst, shapes


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Exporters note much that is no concern of the user."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
