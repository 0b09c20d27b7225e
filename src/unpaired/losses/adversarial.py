"""Adversarial losses: what the two sides of the game minimise; all compute in float32."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from unpaired.networks.whole_batch import uniform


@dataclass(frozen=True)
class Adversarial:
    """What the two sides of an adversarial game minimise, from raw scores (N, 1, h, w).

    Attributes:
        discriminator: (real scores, fake scores) -> scalar.
        generator: (fake scores) -> scalar.
        opposite: (scores) -> the scores that say the contrary; with it a generator can want its
            images taken for the side that D calls real, or for the other.
        penalty: (D, real images, fake images) -> scalar that the discriminator minimises too.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    opposite: Callable[[Tensor], Tensor] = torch.neg
    penalty: Callable[[nn.Module, Tensor, Tensor], Tensor] | None = None


def least_squares() -> Adversarial:
    """LSGAN (Mao et al. 2017): D pulls real scores to 1, fake ones to 0; G pulls fake ones to 1."""
    return Adversarial(
        discriminator=lambda real, fake: (
            0.5 * ((real.float() - 1).square().mean() + fake.float().square().mean())
        ),
        generator=lambda fake: (fake.float() - 1).square().mean(),
        opposite=lambda scores: 1 - scores.float(),
    )


def log_loss() -> Adversarial:
    """Eq. 1 (Goodfellow et al. 2014), halved for D; G maximises log D(G(x)) (non-saturating).

    With D = sigmoid(score): -log D = softplus(-score) and -log(1 - D) = softplus(score).
    """
    return Adversarial(
        discriminator=lambda real, fake: (
            0.5 * (fn.softplus(-real.float()).mean() + fn.softplus(fake.float()).mean())
        ),
        generator=lambda fake: fn.softplus(-fake.float()).mean(),
    )


def hinge() -> Adversarial:
    """Hinge (Lim and Ye 2017; Miyato et al. 2018), halved for D."""
    return Adversarial(
        discriminator=lambda real, fake: (
            0.5 * (fn.relu(1 - real.float()).mean() + fn.relu(1 + fake.float()).mean())
        ),
        generator=lambda fake: -fake.float().mean(),
    )


def wasserstein(penalty_weight: float = 10.0) -> Adversarial:
    """WGAN-GP (Gulrajani et al. 2017): scores as a critic's, and a penalty on its slope."""
    return Adversarial(
        discriminator=lambda real, fake: fake.float().mean() - real.float().mean(),
        generator=lambda fake: -fake.float().mean(),
        penalty=lambda D, real, fake: penalty_weight * gradient_penalty(D, real, fake),
    )


def gradient_penalty(D: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """E[(|grad D(z)|_2 - 1)^2] at points z between real and fake images (Gulrajani et al. 2017).

    D(z) is the sum of the scores of an image's patches here, as in CycleGAN's released code.

    Args: real, fake: (N, C, H, W).
    """
    return (_slopes(D, real, fake, torch.sum) - 1).square().mean()


def zero_centred_penalty(D: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """E[|grad D(z)|_2^2] at points z between real and fake images (UVCGANv2).

    D(z) is the mean of the scores of an image's patches.

    Args: real, fake: (N, C, H, W).
    """
    return _slopes(D, real, fake, torch.mean).square().mean()


def _slopes(D: nn.Module, real: Tensor, fake: Tensor, pool: Callable[..., Tensor]) -> Tensor:
    """(N,): the length of D's gradient at one point between each real and fake image.

    The points are drawn from torch's global generator, and D runs in float32 even inside autocast:
    a slope of half precision would be too rough to push anywhere.
    """
    real, fake = real.detach().float(), fake.detach().float()
    share = uniform(len(real), 1, 1, 1, device=real.device)
    between = (share * real + (1 - share) * fake).requires_grad_(True)
    with _no_autocast(real.device.type):
        scores = pool(D(between), dim=(1, 2, 3)).sum()
        (slope,) = torch.autograd.grad(scores, between, create_graph=True)
    return slope.flatten(1).norm(dim=1)


def _no_autocast(device: str) -> AbstractContextManager[None]:
    if torch.amp.is_autocast_available(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()  # the meta device, on which sizes are tried out


ADVERSARIAL: dict[str, Adversarial] = {
    "lsgan": least_squares(),
    "log": log_loss(),
    "hinge": hinge(),
    "wgan-gp": wasserstein(),
}
