"""Translating with torch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from unpaired.methods import Method
from unpaired.methods.base import Direction
from unpaired.training.card import Card
from unpaired.training.precision import Precision, autocast, choose_precision
from unpaired.translation.base import BaseTranslator


class TorchTranslator(BaseTranslator):
    """A method's own networks, on any device."""

    def __init__(self, method: Method, card: Card, device: torch.device, precision: Precision):
        """Args: method: in evaluation mode, with the weights that are to translate."""
        super().__init__(card)
        self.device = device
        self.dtype = choose_precision(precision, device)
        # what convolutions compute in fastest; our norms keep it
        self.method = method.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        numbers = {None: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[self.dtype]
        self.computes = f"torch in {numbers}" + ("" if device.type == "cpu" else f" on {device}")

    def in_torch(self) -> TorchTranslator:
        return self

    @torch.inference_mode()
    def run(self, images: NDArray[np.float32], direction: Direction) -> NDArray[np.float32]:
        tensor = torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2)  # channels-last
        with autocast(self.device, self.dtype):
            translated = self.method.translate(tensor, direction)
        made: NDArray[np.float32] = (
            translated.float().permute(0, 2, 3, 1).contiguous().cpu().numpy()
        )
        return made
