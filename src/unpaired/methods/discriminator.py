"""What a discriminator minimises, the same in every method."""

from __future__ import annotations

from torch import Tensor, nn

from unpaired.losses import Adversarial
from unpaired.methods.base import Losses
from unpaired.methods.batching import together


def discriminator_losses(
    adversarial: Adversarial, name: str, D: nn.Module, real: Tensor, fake: Tensor
) -> Losses:
    """Eq. 1 as D sees it, under `name`, and its gradient penalty if the form has one.

    Args: real, fake: (N, C, H, W); `fake` without gradients.
    """
    real_scores, fake_scores = together(D, real, fake)
    terms = {name: adversarial.discriminator(real_scores, fake_scores)}
    if adversarial.penalty is not None:
        terms[f"{name}_penalty"] = adversarial.penalty(D, real, fake)
    return terms
