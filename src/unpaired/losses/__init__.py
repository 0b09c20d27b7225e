"""The losses, each a small function that reads like its equation; all compute in float32."""

from unpaired.losses.adversarial import ADVERSARIAL, Adversarial, gradient_penalty
from unpaired.losses.contrastive import patch_nce
from unpaired.losses.distance import l1

__all__ = ["ADVERSARIAL", "Adversarial", "gradient_penalty", "l1", "patch_nce"]
