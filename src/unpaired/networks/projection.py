"""The projection heads of CUT: patches of several layers become unit vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from unpaired.networks.init import initialise


class PatchProjections(nn.Module):
    """H of CUT: for each layer a two-layer MLP, and division by the length (Park et al. 2020).

    Args:
        widths: channels of each layer's features.
        width: units of the hidden layer and of the vectors; the paper has 256.
    """

    def __init__(self, widths: Sequence[int], width: int = 256) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Linear(channels, width), nn.ReLU(inplace=True), nn.Linear(width, width)
            )
            for channels in widths
        )
        initialise(self, "normal", 0.02)

    def forward(self, features: Sequence[Tensor], places: Sequence[Tensor]) -> list[Tensor]:
        """The vectors of some places of each layer.

        Args:
            features: per layer (N, C, H, W).
            places: per layer (S,), indices into its H * W places.
        Returns: per layer (N, S, width), float32, of length 1.
        """
        return [
            fn.normalize(head(maps.flatten(2)[:, :, at].transpose(1, 2)).float(), dim=2)
            for head, maps, at in zip(self.heads, features, places)
        ]


def draw_places(features: Sequence[Tensor], count: int) -> list[Tensor]:
    """For each layer (N, C, H, W), `count` different places of its H * W, or all if fewer.

    Drawn from torch's global generator on the CPU, so that every device draws alike.
    """
    return [
        torch.randperm(maps.shape[2] * maps.shape[3])[:count].to(maps.device, non_blocking=True)
        for maps in features
    ]
