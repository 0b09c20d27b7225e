"""Which backend translates, decided by one rule; none but the torch backend imports torch.

A file from `unpaired export` is run by what its kind needs: .xml by OpenVINO; .onnx by OpenVINO if
it is installed, else by ONNX Runtime. A run is run by the backend asked for; "auto" is OpenVINO if
it is installed, no GPU may be there, and the run's method is one network; else torch. A run's
networks are exported once for every checkpoint and kept in the cache folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from unpaired import __version__
from unpaired.cache import cache_folder, forget_oldest
from unpaired.errors import UserError
from unpaired.locks import HeldError, held
from unpaired.telling import note
from unpaired.training.card import read_card
from unpaired.training.finding import find_checkpoint
from unpaired.translation.base import Backend, BaseTranslator, smallest_side
from unpaired.translation.exported import ExportedTranslator, InTorch
from unpaired.translation.exporting.sessions import (
    ONNXSession,
    OpenVINOSession,
    Precision,
    Session,
    check_there,
    need,
)
from unpaired.translation.resolving import EXPORTS, resolve

if TYPE_CHECKING:  # they bring torch
    from unpaired.methods.base import Direction
    from unpaired.translation.network import TorchTranslator

PATIENCE = 15 * 60.0
"""Seconds to wait for another rank's export: far longer than one takes, also on a busy machine."""
VERSION = 1
"""Of what is kept; another one is made anew."""
EXPORTABLE_BUT = ("cogan",)
"""Methods that are more than one network."""
GPUS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")


def load(
    source: Path | str,
    *,
    checkpoint: str = "latest",
    device: str = "auto",
    precision: Precision = "auto",
    backend: Backend = "auto",
) -> BaseTranslator:
    """A translator of whatever `resolving.resolve` knows.

    Raises: UserError if there is none, it is damaged, or the backend can't do what is asked.
    """
    source = resolve(source)
    if source.suffix.lower() in EXPORTS and not source.is_dir():
        return _of_file(source, device, precision, backend)
    folder = find_checkpoint(source, checkpoint)

    def in_torch() -> TorchTranslator:
        import torch

        from unpaired.training.checkpoint import load_method
        from unpaired.training.precision import choose_device
        from unpaired.translation.network import TorchTranslator

        where = choose_device(device)
        if where == torch.device("cuda") and "LOCAL_RANK" in os.environ:  # each rank its own
            where = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        method, card = load_method(folder)
        translator = TorchTranslator(method, card, where, precision)
        translator.source = folder
        return translator

    if backend == "torch" or (backend == "auto" and not _suits_openvino(folder, device, precision)):
        return in_torch()
    _need_cpu(device, f"--backend {backend}")
    need("onnxruntime" if backend == "onnx" else "openvino")

    def open_session(direction: Direction) -> Session:
        if backend == "onnx":
            return ONNXSession(kept(folder, direction, ".onnx"), precision)
        try:
            return OpenVINOSession(kept(folder, direction, ".xml"), precision)
        except UserError as error:
            if backend != "auto":
                raise
            note(f"{error}; torch translates instead")
            return InTorch(translator.in_torch(), direction)

    card = read_card(folder)
    translator = ExportedTranslator(card, smallest_side(card), open_session, in_torch)
    translator.source = folder
    return translator


def kept(checkpoint: Path, direction: str, suffix: str) -> Path:
    """The checkpoint's export in the cache folder, made if it isn't there.

    Its folder is named after the digest of checkpoint.json, which holds the digests of all weights.
    """
    content = (checkpoint / "checkpoint.json").read_bytes()
    digest = hashlib.sha256(f"{VERSION} {__version__} ".encode() + content).hexdigest()[:32]
    folder = cache_folder("exported") / digest
    place = folder / f"{direction}{suffix}"
    files = [place] if suffix != ".xml" else [place, place.with_suffix(".bin")]
    record = folder / f"{place.name}.sha256"  # of these files, written last
    if not _is_whole(files, record):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _alone(folder):
                if not _is_whole(files, record):  # another rank may have made it meanwhile
                    _keep(checkpoint, direction, files, record)
        except OSError as error:
            why = error.strerror or str(error)
            raise UserError(
                f'cannot write to "{folder}": {why.lower()}; make room or mend the folder, or set '
                "$UNPAIRED_CACHE to another"
            ) from None
        forget_oldest(folder)
    with contextlib.suppress(OSError):  # a folder may be there to read only
        os.utime(folder)
    return place


def _keep(checkpoint: Path, direction: str, files: list[Path], record: Path) -> None:
    """Export to the first of the files. Raises: OSError; UserError if it can't be exported."""
    from unpaired.translation.exporting.export import NotWritten, export

    place = files[0]
    anew = " anew, as what was kept is damaged" if os.path.lexists(place) else ""
    note(f"exporting the network, once for this checkpoint{anew} ...")
    for file in (record, *files):
        _remove(file)
    kind: Literal["openvino", "onnx"] = "openvino" if place.suffix == ".xml" else "onnx"
    try:
        export(checkpoint, place, format=kind, direction=direction, overwrite=True)
    except NotWritten as error:
        raise OSError(error.reason) from None
    record.write_text(_digests(files), encoding="ascii")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process of this machine is in here, however those before it ended.

    Raises: OSError; UserError if one is in here for all of `PATIENCE`.
    """
    try:
        waiting = "waiting for another process that exports the network ..."
        with held(folder, PATIENCE, note, waiting):
            yield
    except HeldError:
        raise UserError(
            f'another process has been exporting to "{folder}" for {PATIENCE / 60:g} minutes; '
            "end it if it hangs, or translate with --backend torch"
        ) from None


def _is_whole(files: list[Path], record: Path) -> bool:
    """Whether the files are those that were recorded.

    Every byte is read at every start: 54 ms of a processor with SHA instructions for the 45 MB of a
    ResNet-9, which are then at hand for the backend. Size and time alone would let a bit that
    turned on the disk translate all pictures, silently wrong.
    """
    try:
        return record.read_text(encoding="ascii") == _digests(files)
    except (OSError, ValueError):
        return False


def _digests(files: list[Path]) -> str:
    """SHA-256, a line per file. Raises: OSError."""
    return "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}\n" for file in files)


def _remove(path: Path) -> None:
    """Whatever stands there. Raises: OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _of_file(source: Path, device: str, precision: Precision, backend: Backend) -> BaseTranslator:
    check_there(source)
    suffix = source.suffix.lower()
    if suffix == ".bin":
        raise UserError(f'"{source}" holds only weights; give the .xml beside it')
    if suffix == ".pt2" or backend == "torch":
        raise UserError(
            f'"{source}" is not run by torch here (a .pt2 file is for programs of your own); give '
            "the run folder, or a file of --format onnx or openvino"
        )
    if suffix == ".xml" and backend == "onnx":
        raise UserError(f'"{source}" is run by OpenVINO alone; drop --backend onnx')
    _need_cpu(device, "an exported file")
    by_openvino = suffix == ".xml" or backend == "openvino"
    if backend == "auto" and suffix == ".onnx":
        by_openvino = util.find_spec("openvino") is not None
    session = (OpenVINOSession if by_openvino else ONNXSession)(source, precision)
    label = session.label
    translator = ExportedTranslator(label.card, label.smallest, lambda _: session)
    translator.session(label.direction)  # type: ignore[arg-type]
    return translator


def _suits_openvino(checkpoint: Path, device: str, precision: Precision) -> bool:
    """The rule for "auto"."""
    return (
        device in ("auto", "cpu")
        and precision != "fp16"
        and (device == "cpu" or not _may_have_gpu())
        and openvino_runs(read_card(checkpoint).method)
    )


def openvino_runs(method: str) -> bool:
    """Whether a run of the method can be exported to OpenVINO with what is installed."""
    needed = ("openvino", "onnxruntime", "onnxscript")
    return method not in EXPORTABLE_BUT and all(util.find_spec(module) for module in needed)


def _may_have_gpu() -> bool:
    """Whether torch could find an accelerator, without asking it."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        if metadata.version("torch").endswith("+cpu"):
            return False
    return not sys.platform.startswith("linux") or any(Path(gpu).exists() for gpu in GPUS)


def _need_cpu(device: str, what: str) -> None:
    if device not in ("auto", "cpu"):
        raise UserError(
            f"--device {device}: {what} runs on the CPU; give the run with --backend torch"
        )
