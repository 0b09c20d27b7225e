"""The smallest settings of every method, for tests that all methods must pass."""

from typing import Any

import torch

from unpaired.methods import METHODS, Method
from unpaired.training.config import from_dict

SIZE = 16
NETWORKS = {"filters": 4, "blocks": 1, "discriminator": {"filters": 4, "layers": 1}}

TINY: dict[str, dict[str, Any]] = {
    "bigan": NETWORKS,
    "cogan": {"filters": 2, "latent": 8, "search": {"candidates": 8, "starts": 1, "steps": 5}},
    "cut": {**NETWORKS, "projection": 8},
    "cyclegan": {**NETWORKS, "loss": {"identity": 5.0}},
    "fastcut": {**NETWORKS, "projection": 8},
    "uvcgan": {
        "filters": 4,
        "levels": 2,
        "transformer": {"features": 8, "heads": 2, "blocks": 1},
        "discriminator": {"filters": 4, "layers": 1},
    },
    "feature_gan": {**NETWORKS, "features": "hed"},
    "pix2pix": {"filters": 4, "discriminator": NETWORKS["discriminator"]},
    "simgan": NETWORKS,
}


def tiny_settings(name: str, **changes: Any) -> Any:
    """The method's smallest settings, with changes by top-level name."""
    tree = {"method": name, "settings": {**TINY[name], **changes}}
    return from_dict(tree).settings


def tiny_method(name: str, x: int = 3, y: int = 3, size: int = SIZE, **changes: Any) -> Method:
    """The smallest network of a method, from seed 0, ready to train."""
    torch.manual_seed(0)
    settings = tiny_settings(name, **changes)
    method = METHODS[name](settings, channels_x=x, channels_y=y, size=size)
    method.prepare()
    return method.train()


def tiny_batch(x: int = 3, y: int = 3, size: int = SIZE, seed: int = 1) -> dict[str, torch.Tensor]:
    """Two random images of each domain."""
    rng = torch.Generator().manual_seed(seed)
    return {
        "x": torch.rand(2, x, size, size, generator=rng) * 2 - 1,
        "y": torch.rand(2, y, size, size, generator=rng) * 2 - 1,
    }


def own_parameters(method: Method, player: str) -> dict[str, torch.nn.Parameter]:
    """The player's parameters by their name on the method."""
    own = {id(p) for network in method.networks(player) for p in network.parameters()}
    return {n: p for n, p in method.named_parameters() if id(p) in own and p.requires_grad}


def losses_of(method: Method, player: str, batch: dict, seed: int = 0) -> dict[str, torch.Tensor]:
    """The player's terms, with the chance of `seed`."""
    torch.manual_seed(seed)
    return method.losses(player, batch, method.generate(batch))
