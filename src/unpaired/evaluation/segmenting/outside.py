"""Segmenters from elsewhere: any function, and networks in the format of Hugging Face."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unpaired.errors import UserError
from unpaired.evaluation.segmenting.classes import IGNORED, Classes, Maps, Photos
from unpaired.training.precision import choose_device

BATCH = 8  # pictures that go through a network together
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])  # mean and deviation of its pixels


class CallableSegmenter:
    """Any function from a photo to a class map: `function(image (H, W, 3) uint8) -> (H, W)`."""

    def __init__(
        self, function: Callable[[NDArray[np.uint8]], Any], classes: Classes, name: str = ""
    ) -> None:
        """Args: name: for tables; default: the function's own."""
        self.function = function
        self.classes = classes
        self.name = name or getattr(function, "__name__", type(function).__name__)
        self.key = self.name

    def __call__(self, pictures: Photos) -> Maps:
        """(N, H, W, 3) uint8 -> (N, H, W) uint8.

        Raises: UserError if the function gives another shape, or no whole numbers up to 255.
        """
        maps = np.empty(pictures.shape[:3], np.uint8)
        for i, picture in enumerate(pictures):
            read = np.asarray(self.function(picture))
            if read.shape != picture.shape[:2]:
                raise UserError(
                    f"the segmenter {self.name} gave shape {read.shape} for a picture of "
                    f"{picture.shape[:2]}; it must name one class per pixel"
                )
            if read.dtype.kind not in "iu" or (
                read.size and not 0 <= read.min() <= read.max() < 256
            ):
                raise UserError(
                    f"the segmenter {self.name} gave {read.dtype} values from {read.min()} to "
                    f"{read.max()}; it must give class numbers, whole and below 256"
                )
            maps[i] = read
        return maps


class HuggingFaceSegmenter:
    """A semantic segmentation network in the format of Hugging Face, such as SegFormer (Xie et al.
    2021, https://arxiv.org/abs/2105.15203).

    Its labels are taken for ours by name ("traffic light" is "traffic_light" is "TrafficLight"); a
    pixel of a label that we lack becomes IGNORED, which counts as a miss. Needs transformers:
    `pip install unpaired[segformer]`.
    """

    def __init__(self, source: str, classes: Classes, device: str = "auto") -> None:
        """Args: source: a name on the hub, or a folder that `save_pretrained` wrote.

        Raises: UserError if transformers is missing, the network can't be had, or none of its
            labels is a class of ours.
        """
        try:
            from transformers import AutoModelForSemanticSegmentation
        except ImportError:
            raise UserError(
                f"hf:{source} needs transformers; install it with: pip install unpaired[segformer]"
            ) from None
        self.classes = classes
        self.name = self.key = f"hf:{source}"
        self.device = choose_device(device)
        try:
            network = AutoModelForSemanticSegmentation.from_pretrained(
                source, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            gist = " ".join(str(error).split())[:160]
            raise UserError(
                f"{self.name} can't be loaded ({gist}); check the name or folder, and the network"
            ) from None
        self.network = network.to(self.device).eval().requires_grad_(False)
        self.mean, self.deviation = (
            torch.tensor(values, device=self.device).view(3, 1, 1) for values in _statistics(source)
        )
        ours = {_bare(name): index for index, name in enumerate(classes.names)}
        self.table = np.full(len(network.config.id2label), IGNORED, np.uint8)
        for index, label in network.config.id2label.items():
            self.table[int(index)] = ours.get(_bare(label), IGNORED)
        if (self.table == IGNORED).all():
            some = ", ".join(list(network.config.id2label.values())[:4])
            raise UserError(
                f"{self.name} knows none of the classes {classes.name} by name (it has {some}, "
                "...); give --classes that it knows"
            )

    @torch.inference_mode()
    def __call__(self, pictures: Photos) -> Maps:
        """(N, H, W, 3) uint8 -> (N, H, W) uint8; scores are enlarged to the pictures' size."""
        maps = np.empty(pictures.shape[:3], np.uint8)
        for start in range(0, len(pictures), BATCH):
            part = np.ascontiguousarray(pictures[start : start + BATCH])
            x = torch.from_numpy(part).to(self.device).permute(0, 3, 1, 2).float() / 255
            scores = self.network(pixel_values=(x - self.mean) / self.deviation).logits
            scores = torch.nn.functional.interpolate(
                scores, pictures.shape[1:3], mode="bilinear", align_corners=False
            )
            maps[start : start + BATCH] = self.table[scores.argmax(1).cpu().numpy()]
        return maps


def _statistics(source: str) -> tuple[list[float], list[float]]:
    """Mean and deviation of what the network was trained on, where it says so; else ImageNet's."""
    from transformers.image_processing_utils import BaseImageProcessor

    told: dict[str, Any] = {}
    with contextlib.suppress(OSError):
        told, _ = BaseImageProcessor.get_image_processor_dict(source)
    return told.get("image_mean", IMAGENET[0]), told.get("image_std", IMAGENET[1])


def _bare(label: str) -> str:
    return re.sub(r"[^a-z0-9]", "", label.lower())
