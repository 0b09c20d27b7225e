"""Contrast between patches: an output patch must be told by its input patch among others."""

from __future__ import annotations

import torch
import torch.nn.functional as fn
from torch import Tensor


def patch_nce(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """PatchNCE at one layer (Park et al. 2020, CUT, eq. 2 and 3): a mean over images and places.

    -log exp(v . v+ / tau) / (exp(v . v+ / tau) + sum over the other places exp(v . v- / tau)),
    where v is an output patch, v+ the input patch at its place, and the v- are those at the other
    places of the same image.

    Args:
        queries: (N, S, C), unit vectors of S patches of each output image.
        keys: (N, S, C), of the input images at the same places; gradients don't flow into them.
        temperature: tau.
    """
    similarities = queries.float() @ keys.detach().float().transpose(1, 2) / temperature
    places = torch.arange(queries.shape[1], device=queries.device).expand(queries.shape[:2])
    return fn.cross_entropy(similarities.flatten(0, 1), places.flatten())
