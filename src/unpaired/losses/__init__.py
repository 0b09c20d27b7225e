"""The losses, each a small function that reads like its equation; all compute in float32."""

from unpaired.losses.adversarial import (
    ADVERSARIAL,
    Adversarial,
    gradient_penalty,
    zero_centred_penalty,
)
from unpaired.losses.contrastive import patch_nce
from unpaired.losses.distance import l1
from unpaired.losses.style import content_loss, gram, style_loss

__all__ = [
    "ADVERSARIAL",
    "Adversarial",
    "content_loss",
    "gradient_penalty",
    "gram",
    "l1",
    "patch_nce",
    "style_loss",
    "zero_centred_penalty",
]
