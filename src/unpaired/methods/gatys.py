"""Neural style transfer (Gatys, Ecker and Bethge 2016): a picture is painted by optimisation.

<https://doi.org/10.1109/CVPR.2016.265>, as CycleGAN (sec. 5.2) compares with it: the style is that
of one picture, or the mean of a collection's Gram matrices. Nothing is trained.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from unpaired.errors import UserError
from unpaired.losses import content_loss, gram, style_loss
from unpaired.networks.vgg import VGG16

CONTENT_LAYER = "relu4_2"  # sec. 3
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")  # sec. 3, w_l = 1/5 each
FAINTEST = 0.5  # of a layer's mean: filters that the style uses less count as if they had it


@dataclass(frozen=True)
class GatysConfig:
    """Eq. 7 with alpha = `content` and beta = `style`, and how it is minimised."""

    content: float = 1.0
    style: float = 1.0
    steps: int = 100
    """Iterations of L-BFGS."""
    start: Literal["content", "noise"] = "content"
    """What is painted over (sec. 3.3): the content itself, or white noise."""
    seed: int = 0
    """Of the noise."""

    def __post_init__(self) -> None:
        for name in ("content", "style"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UserError(f"--{name}-weight is {getattr(self, name)}; give 0 or more")
        if self.content == self.style == 0:
            raise UserError("--content-weight and --style-weight are both 0; raise one of them")
        if self.steps < 1:
            raise UserError(f"--steps is {self.steps}; give 1 or more")


@dataclass(frozen=True)
class Style:
    """What is kept of the style's pictures, by layer.

    Attributes:
        grams: (1, C, C), the mean of their Gram matrices A, of features divided by `activations`.
        activations: (1, C, 1, 1), each filter's mean over them. Sec. 2 scales the filters so that
            their means are 1, which leaves what the network computes as it was.
    """

    grams: dict[str, Tensor]
    activations: dict[str, Tensor]


@torch.no_grad()
def style_of(net: VGG16, pictures: Iterable[Tensor]) -> Style:
    """The style that pictures have in common: each weighs the same, whatever its size.

    Args: pictures: (1, 3, H, W) in [-1, 1], at least one; seen one at a time.
    """
    count = 0
    means: dict[str, Any] = defaultdict(float)
    grams: dict[str, Any] = defaultdict(float)
    for count, picture in enumerate(pictures, 1):  # noqa: B007 - the last is how many there are
        for layer, F in _features(net, picture).items():
            means[layer] = means[layer] + F.mean((2, 3), keepdim=True)
            grams[layer] = grams[layer] + gram(F)
    activations = {
        layer: (mean / count).clamp(min=FAINTEST * float(mean.mean()) / count + 1e-12)
        for layer, mean in means.items()
    }
    a = {layer: activations[layer].flatten(2) for layer in STYLE_LAYERS}  # (1, C, 1)
    return Style(
        grams={layer: grams[layer] / count / (a[layer] * a[layer].mT) for layer in STYLE_LAYERS},
        activations=activations,
    )


def gatys_losses(
    F: dict[str, Tensor], P: dict[str, Tensor], A: dict[str, Tensor], config: GatysConfig
) -> dict[str, Tensor]:
    """The weighted terms of eq. 7; one of weight 0 is not computed.

    Args:
        F, P: features of the picture painted and of the content, divided by the activations.
        A: the style's Gram matrices.
    """
    losses: dict[str, Tensor] = {}
    if config.content:
        losses["content"] = config.content * content_loss(F[CONTENT_LAYER], P[CONTENT_LAYER])
    if config.style:
        by_layer = [style_loss(gram(F[layer]), A[layer]) for layer in STYLE_LAYERS]
        losses["style"] = config.style * torch.stack(by_layer).mean()  # eq. 5
    return losses


def stylize(net: VGG16, content: Tensor, style: Style, config: GatysConfig) -> Tensor:
    """Paint the content in the style: L-BFGS over the pixels.

    Args: content: (1, 3, H, W) in [-1, 1], on the device of the net and the style.
    Returns: (1, 3, H, W) in [-1, 1], the same for the same arguments on the same machine.
    Raises: UserError if the weights are so large that the losses overflow.
    """

    def scaled(image: Tensor) -> dict[str, Tensor]:
        return {layer: F / style.activations[layer] for layer, F in _features(net, image).items()}

    with torch.no_grad():
        P = scaled(content)
    if config.start == "noise":
        noise = torch.rand(content.shape, generator=torch.Generator().manual_seed(config.seed))
        image = (2 * noise - 1).to(content)
    else:
        image = content.clone(memory_format=torch.contiguous_format)
    image.requires_grad_()
    optimizer = torch.optim.LBFGS(
        [image],
        max_iter=config.steps,
        max_eval=2 * config.steps,
        history_size=20,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = torch.stack(list(gatys_losses(scaled(image), P, style.grams, config).values())).sum()
        (image.grad,) = torch.autograd.grad(loss, image)
        return loss

    first = optimizer.step(closure)  # type: ignore[no-untyped-call]
    if not (torch.isfinite(first) and torch.isfinite(image).all()):
        raise UserError("the losses overflow; give a smaller --style-weight or --content-weight")
    return image.detach().clamp(-1, 1)


def _features(net: VGG16, image: Tensor) -> dict[str, Tensor]:
    """With average pooling, which sec. 2 found to give slightly more appealing pictures."""
    return net(image, (*STYLE_LAYERS, CONTENT_LAYER), pooling="average")
