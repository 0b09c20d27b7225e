"""CUT and FastCUT: an output patch must be told by its own input patch; one way, no cycle."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from unpaired.errors import UserError
from unpaired.losses import patch_nce
from unpaired.methods.base import Batch, Losses
from unpaired.methods.batching import together
from unpaired.methods.oneway import OneWay, OneWayLoss, OneWaySettings
from unpaired.methods.settings import check_weights, need_equal_channels
from unpaired.networks.projection import PatchProjections, draw_places
from unpaired.networks.resnet import ResNetGenerator
from unpaired.networks.whole_batch import uniform


@dataclass(frozen=True)
class NCELoss(OneWayLoss):
    """Each number multiplies its term as it stands; 0 switches the term off."""

    nce_x: float = 1.0
    """lambda_X of eq. 5, on PatchNCE between x and G(x)."""
    nce_y: float = 1.0
    """lambda_Y of eq. 5, on PatchNCE between y and G(y): an identity term."""
    temperature: float = 0.07
    """tau of eq. 2."""
    patches: int = 256
    """Places compared per layer and image."""
    flip: bool = False
    """Translate half of the images mirrored; their features must be mirrored too (FastCUT)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_weights(self, "nce_x", "nce_y")
        if not 0 < self.temperature < float("inf"):
            raise UserError(f"--loss.temperature is {self.temperature}; give a number above 0")
        if self.patches < 2:
            raise UserError(f"--loss.patches is {self.patches}; give 2 or more")
        if not (self.gan or self.nce_x or self.nce_y):
            raise UserError("every loss term is switched off; give --loss.gan or --loss.nce-x")


@dataclass(frozen=True)
class CUTConfig(OneWaySettings):
    """Settings of CUT; networks and training are CycleGAN's, the loss is its paper's."""

    projection: int = 256
    """Units of the projection heads."""
    loss: NCELoss = field(default_factory=NCELoss)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.projection < 1:
            raise UserError(f"--projection is {self.projection}; give 1 or more")


class CUT(OneWay):
    """Contrastive unpaired translation (Park et al. 2020, https://arxiv.org/abs/2007.15651).

    G: X -> Y and its projection heads H minimise eq. 5:
    L_GAN(G, D_Y, X, Y) + lambda_X L_PatchNCE(G, H, X) + lambda_Y L_PatchNCE(G, H, Y).
    The first half of G is the encoder of the patches.
    """

    name = "cut"
    title = "CUT"
    Config: ClassVar[type] = CUTConfig
    remembered = ()  # no history, as the authors train
    G: ResNetGenerator

    def __init__(self, settings: CUTConfig, *, channels_x: int, channels_y: int, size: int) -> None:
        """Build G, D_Y and H.

        Raises: UserError if the domains differ in channels, or G has no encoder.
        """
        super().__init__(settings, channels_x=channels_x, channels_y=channels_y, size=size)
        need_equal_channels(
            channels_x, channels_y, "PatchNCE", "equal --channels-x and --channels-y"
        )
        if not hasattr(self.G, "encode"):
            raise UserError(
                f"--generator.kind {settings.generator.kind} has no encoder whose patches "
                f"{self.name} could contrast; give resnet"
            )
        self.G.requires_grad_(True)  # features are contrasted before norms: all biases count there
        self.weights = settings.loss
        shadow = copy.deepcopy(self.G).to("meta")
        features = shadow.encode(torch.zeros(2, channels_x, size, size, device="meta"))
        self.H = PatchProjections([maps.shape[1] for maps in features], settings.projection)

    def networks(self, player: str) -> list[nn.Module]:
        return {"generator": [self.G, self.H], "discriminator": [self.D_Y]}[player]

    def generate(self, batch: Batch) -> dict[str, Tensor]:
        """fake_y = G(x), and same_y = G(y) for lambda_Y; `mirrored` (N, 1, 1, 1): x was flipped."""
        x, y = batch["x"], batch["y"]
        made: dict[str, Tensor] = {}
        if self.weights.flip:
            made["mirrored"] = uniform(len(x), 1, 1, 1).to(x.device, non_blocking=True) < 0.5
            x = torch.where(made["mirrored"], x.flip(3), x)
        made["fake_y"], *same_y = together(self.G, x, y) if self.weights.nce_y else (self.G(x),)
        if same_y:
            made["same_y"] = same_y[0]
        return made

    def content_losses(self, batch: Batch, made: dict[str, Tensor]) -> Losses:
        terms: Losses = {}
        if self.weights.nce_x:
            nce = self.nce(batch["x"], made["fake_y"], made.get("mirrored"))
            terms["nce_x"] = self.weights.nce_x * nce
        if self.weights.nce_y:
            terms["nce_y"] = self.weights.nce_y * self.nce(batch["y"], made["same_y"])
        return terms

    def nce(self, source: Tensor, target: Tensor, mirrored: Tensor | None = None) -> Tensor:
        """L_PatchNCE, eq. 3: a mean over layers, images and places.

        Args:
            source, target: (N, C, H, W), an image and what G made of it.
            mirrored: (N, 1, 1, 1), whether G was given the image flipped.
        """
        found, given = self.G.encode(target), self.G.encode(source)
        if mirrored is not None:
            found = [torch.where(mirrored, maps.flip(3), maps) for maps in found]
        places = draw_places(given, self.weights.patches)
        queries, keys = self.H(found, places), self.H(given, places)
        layers = [patch_nce(q, k, self.weights.temperature) for q, k in zip(queries, keys)]
        return torch.stack(layers).mean()


@dataclass(frozen=True)
class FastCUTConfig(CUTConfig):
    """CUT's settings with FastCUT's weights (Park et al. 2020, sec. 4.1)."""

    loss: NCELoss = field(default_factory=lambda: NCELoss(nce_x=10.0, nce_y=0.0, flip=True))


class FastCUT(CUT):
    """The light variant: lambda_X = 10, no identity term, flip-equivariance."""

    name = "fastcut"
    title = "FastCUT"
    Config = FastCUTConfig
