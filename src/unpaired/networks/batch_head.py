"""The discriminator of UVCGANv2: spectral norms, and a head that compares the images of a batch."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from unpaired.networks.init import initialise
from unpaired.networks.patchgan import PatchGAN


class BatchHeadDiscriminator(nn.Module):
    """PatchGAN's convolutions under spectral norm, and a free head that sees batch statistics.

    The head's batch norm takes mean and variance over the images it is given at once, so that a
    generator whose images are all alike is found out (Torbunov et al. 2023). With one
    image at a time it is an instance norm. No statistics are kept.

    Args: filters, layers: as `PatchGAN`.
    """

    def __init__(self, in_channels: int, filters: int = 64, layers: int = 3) -> None:
        super().__init__()
        patches = PatchGAN(in_channels, filters, layers)
        body = list(patches.model.children())[:-1]  # without the layer that gives the score
        width = filters * min(2**layers, 8)
        self.body = nn.Sequential(*body)
        self.head = nn.Sequential(
            nn.BatchNorm2d(width, track_running_stats=False),
            nn.Conv2d(width, width, 3, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, 1, 3, padding=1),
        )
        initialise(self, "normal", 0.02)
        for module in list(self.body):
            if isinstance(module, nn.Conv2d):
                spectral_norm(module)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 1, h, w) scores; higher is more real."""
        return self.head(self.body(x))
