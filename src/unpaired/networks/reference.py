"""State dicts as the authors' PyTorch code writes them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

PREFIXES = ("module.", "_orig_mod.")
STALE = ("running_mean", "running_var", "num_batches_tracked")


def from_reference(state: Mapping[str, Tensor], *, batch_norm: bool = False) -> dict[str, Tensor]:
    """The state dict under the names that `ResNetGenerator`, `UNetGenerator` and `PatchGAN` use.

    Prefixes of parallel and compiled modules go. Files from before 2018 carry running statistics
    for instance norms, which must not be used: they go too, unless the norm is a batch norm.
    """
    named = {}
    for name, tensor in state.items():
        while name.startswith(PREFIXES):
            name = name.removeprefix(PREFIXES[0]).removeprefix(PREFIXES[1])
        if batch_norm or not name.endswith(STALE):
            named[name] = tensor
    return named
