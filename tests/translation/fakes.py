"""A method without training, whose translations are known."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unpaired.methods.base import Batch, Direction, Losses, Method
from unpaired.training.card import Card
from unpaired.translation.network import TorchTranslator


class Negative(Method):
    """G turns white to black, F leaves its input alone; both change channels as they must."""

    title = "Negative"
    name = "negative"
    players = ("nobody",)
    directions = ("x2y", "y2x")
    multiple = 4

    def __init__(self, channels_x: int = 3, channels_y: int = 3) -> None:
        super().__init__(None, channels_x=channels_x, channels_y=channels_y, size=16)
        self.channels = {"x2y": channels_y, "y2x": channels_x}
        self.seen: list[tuple[int, ...]] = []

    def networks(self, player: str) -> list[nn.Module]:
        return []

    def generate(self, batch: Batch) -> dict[str, Tensor]:
        return {}

    def losses(self, player: str, batch: Batch, made: dict[str, Tensor]) -> Losses:
        return {}

    def translate(self, images: Tensor, direction: Direction) -> Tensor:
        self.seen.append(tuple(images.shape))
        assert images.shape[2] % self.multiple == 0
        assert images.shape[3] % self.multiple == 0
        channels = self.channels[direction]
        images = images if images.shape[1] == channels else images[:, :1].repeat(1, channels, 1, 1)
        return -images if direction == "x2y" else images


def card(**changes: Any) -> Card:
    values: dict[str, Any] = {
        "method": "negative",
        "settings": {},
        "channels_x": 3,
        "channels_y": 3,
        "dtype_x": "uint8",
        "dtype_y": "uint8",
        "size": 16,
        "images": {},
        "data": "nothing",
        "directions": ("x2y", "y2x"),
        "multiple": 4,
        "precision": "fp32",
        "step": 0,
        "epoch": 0.0,
    }
    return Card(**{**values, **changes})


def negative(**changes: Any) -> TorchTranslator:
    about = card(**changes)
    method = Negative(about.channels_x, about.channels_y).eval()
    return TorchTranslator(method, about, torch.device("cpu"), "fp32")


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([seed, height, width])
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    import PIL.Image

    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(pixels.squeeze()).save(path, **options)
    return path
