"""Files of weights that others wrote: read without running anything, and the generator in them."""

from __future__ import annotations

import hashlib
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from unpaired.errors import UserError, reason_of
from unpaired.networks.blocks import Norm
from unpaired.networks.layout import Layout
from unpaired.networks.places import Key, Unrecognised, as_ours
from unpaired.networks.reference import parts, recognise
from unpaired.networks.tensors import load_tensors
from unpaired.options import nearest
from unpaired.translation.pickles import DamagedPickle, HostilePickle, check_legacy, check_zipped

LARGEST = 4_000_000_000
"""Bytes; a generator takes 30 to 220 MB, a whole training state some times that."""
NESTED, ENTRIES = 4, 100_000
"""How deep state dicts may lie in others, and how much there may be in all."""
CONTAINERS = ("module", "model", "_orig_mod")
"""Words in front of a network's names that say nothing of which it is."""


@dataclass(frozen=True)
class Generator:
    """One generator of a file."""

    layout: Layout
    state: dict[str, Tensor]
    """For `networks.layout.build(layout)`: float32, finite."""
    part: str
    """What its names begin with in the file; empty: nothing that tells."""
    sha256: str
    """Of the file."""


def read_generator(path: Path, part: str | None = None, norm: Norm | None = None) -> Generator:
    """The generator in a file of `torch.save` or safetensors.

    Args:
        part: which, where a file holds several: what its names begin with.
        norm: what the user knows better; see `networks.reference.norm_of`.
    Raises: UserError if it can't be read safely, or holds no generator that is known, or several.
    """
    tensors = read_tensors(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    found: dict[str, tuple[Layout, dict[Key, Tensor]]] = {}
    refused: dict[str, str] = {}
    for prefix, names in parts(shapes).items():
        called = _called(prefix)
        if called in found or called in refused:
            called = prefix
        if part is not None and part not in (called, prefix):
            continue
        try:
            layout = recognise({key: shapes[name] for key, name in names.items()}, norm)
            found[called] = layout, {key: tensors[name] for key, name in names.items()}
        except Unrecognised as error:
            refused[called] = str(error)
    if part is not None and not found and not refused:
        have = list(dict.fromkeys(map(_called, parts(shapes))))
        told = ", ".join(have[:8]) or "nothing that is numbered"
        raise UserError(f'--part is "{part}"{nearest(part, have)}; "{path}" has {told}')
    if len(found) > 1:
        raise UserError(
            f'"{path}" holds {len(found)} generators; give one of them: '
            f"{' or '.join(f'--part {name}' for name in sorted(found))}"
        )
    if not found:
        raise UserError(f'"{path}" holds no generator that is known: {_why(refused, shapes)}')
    [(called, (layout, weights))] = found.items()
    try:
        state = as_ours(_checked(path, weights), layout)
    except Unrecognised as error:
        raise UserError(f'"{path}" holds no generator that is known: {error}') from None
    return Generator(layout, state, called, digest(path))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file by its dotted name, on the CPU; nothing in the file is run.

    Raises: UserError if it is missing, damaged, too large, or more than tensors.
    """
    try:
        size = size_of(path)
        with path.open("rb") as file:
            head = file.read(9)
        if head[8:] == b"{":
            return load_tensors(path)
        if head[:2] == b"PK":
            _check_zip(path, size)
        else:
            check_legacy(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            held = torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f'cannot read "{path}": {reason_of(error)}; check the path') from None
    except SafetensorError as error:
        raise UserError(f'"{path}" is damaged: {_short(error)}; get it again') from None
    except HostilePickle as error:
        raise UserError(
            f'"{path}" is no file of weights: {error}; save the network\'s state_dict() instead'
        ) from None
    except Exception as error:  # an unpickler's, which a broken file may bring to any
        raise UserError(f'"{path}" {_unreadable(error)}') from None
    flat: dict[str, Tensor] = {}
    _flatten(held, "", 0, flat, [0], path)
    if not flat:
        raise UserError(f'"{path}" holds no weights but a {type(held).__name__}; save a state_dict')
    return flat


def size_of(path: Path) -> int:
    """In bytes. Raises: OSError; UserError if it is too large for a file of weights."""
    size = path.stat().st_size
    if size > LARGEST:
        raise UserError(
            f'"{path}" is {size / 1e9:.1f} GB, more than any generator takes '
            f"({LARGEST / 1e9:.0f} GB is read); save its state_dict alone"
        )
    return size


def _check_zip(path: Path, size: int) -> None:
    """`torch.save` packs without compressing. Raises: UserError if it says more than it holds."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        if packed or sum(entry.file_size for entry in entries) > size:
            raise UserError(
                f'"{path}" is no file of torch.save: its content is compressed; unpack it'
            )
        check_zipped(archive)


def _unreadable(error: Exception) -> str:
    """What is wrong with a file, and what to do."""
    if named := re.search(r"GLOBAL ([\w.]+)", str(error)):
        return (
            f"is not weights alone: it would run {named[1]} when read, so it was not read; save "
            "the network's state_dict() instead"
        )
    said = str(error)
    if "weights_only" in said or "Weights only" in said or isinstance(error, DamagedPickle):
        return (  # what torch says goes on to advise to run it
            "is damaged, or no file of weights alone, so it was not read; get it again, or save "
            "the network's state_dict()"
        )
    return f"is damaged, or no file of weights: {_short(error)}; get it again"


def _flatten(
    held: object, prefix: str, depth: int, flat: dict[str, Tensor], seen: list[int], path: Path
) -> None:
    """Collect tensors of nested dictionaries by dotted names. Raises: UserError if it won't end."""
    seen[0] += 1
    if seen[0] > ENTRIES:
        raise UserError(f'"{path}" holds over {ENTRIES} things; save the generator alone')
    if isinstance(held, Tensor) and prefix:
        if held.is_nested:  # which have no shape
            raise UserError(f'"{path}" holds nested tensors, which no generator has; save its own')
        flat[prefix] = Tensor.detach(held)  # without what a file may have put in place of methods
    elif isinstance(held, Mapping) and depth <= NESTED:
        for name, inner in held.items():
            if not isinstance(name, str | int):  # optimizers count; all else is nobody's name
                continue
            _flatten(
                inner, f"{prefix}.{name}" if prefix else str(name), depth + 1, flat, seen, path
            )


def _checked(path: Path, weights: Mapping[Key, Tensor]) -> dict[Key, Tensor]:
    """The weights in float32. Raises: UserError if they can't be a network's, or aren't there."""
    room = 0
    for tensor in weights.values():
        if (
            not tensor.is_floating_point()
            or tensor.layout != torch.strided
            or tensor.device.type != "cpu"
        ):
            raise UserError(f'"{path}" holds {tensor.dtype} weights in {tensor.layout}, not floats')
        room += tensor.numel() * tensor.element_size()
    if room > path.stat().st_size:
        raise UserError(f'"{path}" says it holds {room} bytes of weights, more than it has')
    # copies, as several may be views of one storage, which safetensors does not write
    whole = {key: tensor.to(torch.float32, copy=True) for key, tensor in weights.items()}
    whole = {key: tensor.contiguous() for key, tensor in whole.items()}
    if not all(tensor.isfinite().all() for tensor in whole.values()):
        raise UserError(f'"{path}" has weights that are not finite numbers; its training failed')
    return whole


def _called(prefix: str) -> str:
    """What a network is called in its file: "state_dict.netG.module.model" -> "state_dict.netG"."""
    words = prefix.split(".")
    while words and words[-1] in CONTAINERS:
        words.pop()
    return ".".join(words)


def _why(refused: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Of what was refused, the reason; of several, of that which came nearest."""
    if not shapes:
        return "there is nothing in it"
    if not refused:
        return f"{len(shapes)} tensors, the first is {next(iter(shapes))}; see docs/weights.md"
    near = [name for name, why in refused.items() if "looks like" in why] or list(refused)
    name = near[0]
    return f"{name}: {refused[name]}" if name and len(refused) > 1 else refused[name]


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises: OSError."""
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            whole.update(block)
    return whole.hexdigest()


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else f"{text[:160]} ..."
