"""A segmenter of our own, as a function and as a folder that says how it came about.

The folder::

    segmenter.json        classes, network, training, ceiling, versions; the weights' SHA-256
    model.safetensors     the network's weights

It is written beside its place and renamed: there is never half of one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import functional as fn

from unpaired.errors import UserError, reason_of
from unpaired.evaluation.segmenting.classes import Classes, Maps, Photos
from unpaired.evaluation.valid_json import json_text
from unpaired.networks.fcn import FCN
from unpaired.training.precision import autocast, choose_device, choose_precision

FORMAT = 1
BATCH = 32  # pictures that go through the network together


@dataclass(frozen=True)
class SegmenterCard:
    """What a segmenter says of itself."""

    classes: Classes
    width: int
    size: tuple[int, int]
    """Height and width of the pictures it learnt from."""
    rotate: bool
    """It knows pictures turned by any angle."""
    training: dict[str, Any]
    """Pictures, steps, seconds, seed, batch, rate, final loss, ..."""
    data: str = ""
    """What it was trained on, in words."""
    data_key: str = ""
    """Fingerprint of these pictures; empty if nobody took it."""
    ceiling: dict[str, Any] = field(default_factory=dict)
    """Its scores on the real test pairs: by metric, value, low and high."""
    versions: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @classmethod
    def parse(cls, tree: dict[str, Any]) -> SegmenterCard:
        """Back from JSON; KeyError, TypeError or ValueError if it is something else."""
        if tree["format"] > FORMAT:
            raise ValueError("written by a newer version; update unpaired")
        told = dict(tree["classes"])
        colours = {
            name: tuple((int(r), int(g), int(b)) for r, g, b in told[name])
            for name in ("colours", "ignored")
        }
        classes = Classes(str(told["name"]), tuple(map(str, told["names"])), **colours)
        height, width = map(int, tree["size"])
        told = {"classes": classes, "size": (height, width), "width": int(tree["width"])}
        return cls(**{**tree, **told})


class TrainedSegmenter:
    """Names the class of every pixel by a network that `train_segmenter` trained.

    What it reads is the mean of its opinions on the picture and its mirror image, and on the four
    quarter turns too if it was trained with those.

    Attributes:
        card: how it came about.
    """

    def __init__(self, network: FCN, card: SegmenterCard, device: str = "auto") -> None:
        self.card = card
        self.device = choose_device(device)
        self.dtype = choose_precision("auto", self.device)
        self.network = network.to(self.device).to(memory_format=torch.channels_last)
        self.network.eval().requires_grad_(False)

    @property
    def name(self) -> str:
        """For tables."""
        return f"FCN trained on {self.card.data or 'real photos'}"

    @property
    def key(self) -> str:
        """Of its weights and its card; saved and loaded again it has the same."""
        card = json_text(asdict(self.card)).encode()
        return hashlib.sha256(_hashed(self._weights()).encode() + card).hexdigest()[:12]

    @property
    def classes(self) -> Classes:
        """What the values of its class maps mean."""
        return self.card.classes

    @torch.inference_mode()
    def __call__(self, pictures: Photos) -> Maps:
        """(N, H, W, 3) uint8, best at the scale of `card.size` -> (N, H, W) uint8."""
        parts = [
            self._scores(pictures[start : start + BATCH]).argmax(1).to(torch.uint8).cpu().numpy()
            for start in range(0, len(pictures), BATCH)
        ]
        return np.concatenate(parts) if parts else np.zeros(pictures.shape[:3], np.uint8)

    def _weights(self) -> bytes:
        """As they stand in the file."""
        return save({k: v.contiguous() for k, v in self.network.state_dict().items()})

    def _scores(self, pictures: Photos) -> Tensor:
        """Mean class probabilities of every view: (N, K, H, W)."""
        x = units(pictures).to(self.device)
        turns = range(4) if self.card.rotate else (0,)
        total: Tensor | int = 0
        for turn in turns:
            for mirrored in (False, True):
                view = torch.rot90(x, turn, (2, 3))
                view = view.flip(3) if mirrored else view
                shares = self._padded(view).float().softmax(1)
                shares = shares.flip(3) if mirrored else shares
                total = total + torch.rot90(shares, -turn, (2, 3))
        assert isinstance(total, Tensor)
        return total

    def _padded(self, x: Tensor) -> Tensor:
        """The network on any size: the edge is repeated to the multiple it needs, then cut off."""
        height, width = x.shape[2:]
        missing = (-width % self.network.multiple, -height % self.network.multiple)
        padded = fn.pad(x, (0, missing[0], 0, missing[1]), mode="replicate")
        with autocast(self.device, self.dtype):
            scores: Tensor = self.network(padded.contiguous(memory_format=torch.channels_last))
        return scores[:, :, :height, :width]

    def save(self, folder: Path) -> None:
        """Write it whole or not at all.

        Raises: UserError if the folder is taken, or can't be written.
        """
        check_free(folder)
        fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
        weights = self._weights()
        card = {**asdict(self.card), "sha256": _hashed(weights)}
        try:
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            _write(fresh / "model.safetensors", weights)
            _write(fresh / "segmenter.json", json_text(card).encode())
            if folder.exists():  # empty
                folder.rmdir()
            fresh.rename(folder)
        except OSError as error:
            shutil.rmtree(fresh, ignore_errors=True)
            raise UserError(
                f'cannot write the segmenter "{folder}": {reason_of(error)}; '
                "make room or give another --out"
            ) from None

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> TrainedSegmenter:
        """From the folder that `save` wrote.

        Raises: UserError in one line if there is none, or it is damaged.
        """
        told = folder / "segmenter.json"
        if not told.is_file():
            raise UserError(
                f'"{folder}" holds no segmenter; make one with `unpaired segmenter train`'
            )
        try:
            tree = json.loads(told.read_text(encoding="utf-8"))
            expected = tree.pop("sha256")
            card = SegmenterCard.parse(tree)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError) as error:
            raise UserError(f'"{told}" is damaged ({error}); train the segmenter again') from None
        try:
            weights = (folder / "model.safetensors").read_bytes()
            if _hashed(weights) != expected:
                raise ValueError("its content is not what was written")
            network = FCN(len(card.classes.names), card.width)
            network.load_state_dict(load(weights))
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            gist = " ".join(str(error).split())[:200]
            raise UserError(
                f'"{folder / "model.safetensors"}" is damaged ({gist}); train the segmenter again'
            ) from None
        return cls(network, card, device)


def check_free(folder: Path) -> None:
    """Refuse a folder that holds something, before the work is done.

    Raises: UserError.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f'"{folder}" is not empty; choose another --out, or remove it')


def units(pictures: Photos) -> Tensor:
    """(N, H, W, 3) uint8 as the network takes it: (N, 3, H, W) in [-1, 1]."""
    values = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2)
    return values.float().div_(127.5).sub_(1)


def _hashed(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
