"""Calling one network on several groups of images at once: the same numbers, fewer calls."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def together(network: nn.Module, *groups: Tensor) -> tuple[Tensor, ...]:
    """`tuple(network(g) for g in groups)`, in one call where that gives the same numbers.

    Exact for networks that treat the samples of a batch alone (instance norm does, batch norm does
    not) and groups (N_i, C, H, W) of one shape but for N_i; otherwise calls are made one by one.
    """
    alike = len({g.shape[1:] for g in groups}) == 1
    alone = not any(isinstance(m, _BatchNorm) for m in network.modules())
    if len(groups) > 1 and alike and alone:
        return network(torch.cat(groups)).split([len(g) for g in groups])
    return tuple(network(g) for g in groups)
