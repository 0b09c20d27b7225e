"""How different two pictures look to a network: an LPIPS-like distance."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from unpaired.evaluation.estimates import Numbers
from unpaired.evaluation.features import Pictures
from unpaired.networks.vgg import Source, load_vgg16
from unpaired.training.precision import choose_device

LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
BATCH = 8


class PerceptualNet(Protocol):
    """Anything that tells how different two pictures look; its name is part of the metric's."""

    @property
    def name(self) -> str:
        """Short and without spaces."""

    def __call__(self, a: Pictures, b: Pictures) -> Numbers:
        """Two sets (N, H, W, 3) uint8 -> (N,) distances, 0 for equal pictures."""


class VGG16Distance:
    """sum over five layers of the mean over places of |f(a) - f(b)|^2, f of unit length per place.

    LPIPS without its learned weights of channels (all are equal here, as in its "uncalibrated"
    form), so figures don't compare with LPIPS elsewhere; the name says which VGG-16 it is.

    Source: Zhang, Isola, Efros, Shechtman, Wang 2018, eq. 1 with w = 1.
    """

    def __init__(self, source: Source = "auto", device: str = "auto") -> None:
        """Raises: UserError if there are no such weights."""
        self.device = choose_device(device)
        self.net = load_vgg16(source).to(self.device).eval()
        self.name = f"{self.net.name}-unweighted"

    @torch.inference_mode()
    def __call__(self, a: Pictures, b: Pictures) -> Numbers:
        """(N, H, W, 3) uint8 each, sides of 16 pixels or more -> (N,).

        Raises: ValueError if the shapes differ.
        """
        if a.shape != b.shape:
            raise ValueError(f"pictures must be of one size, not {a.shape} and {b.shape}")
        parts = [
            self._distance(a[i : i + BATCH], b[i : i + BATCH]) for i in range(0, len(a), BATCH)
        ]
        distances: Numbers = torch.cat(parts).double().cpu().numpy()
        return distances

    def _distance(self, a: Pictures, b: Pictures) -> Tensor:
        features_a, features_b = (self.net(self._unit(one), LAYERS) for one in (a, b))
        total = torch.zeros(len(a), device=self.device)
        for layer in LAYERS:
            u, v = (
                f / (f.square().sum(1, keepdim=True).sqrt() + 1e-10)
                for f in (features_a[layer], features_b[layer])
            )
            total = total + (u - v).square().sum(1).mean((1, 2))
        return total

    def _unit(self, pictures: Pictures) -> Tensor:
        images = torch.from_numpy(np.ascontiguousarray(pictures)).to(self.device)
        return images.permute(0, 3, 1, 2).float() / 127.5 - 1
