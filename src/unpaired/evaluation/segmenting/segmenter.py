"""Segmenters: what reads a photo's classes, for the FCN score (Zhu et al. 2017, sec. 5.1.2)."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from unpaired.errors import UserError
from unpaired.evaluation.segmenting.classes import Classes, Maps, Photos
from unpaired.evaluation.segmenting.outside import HuggingFaceSegmenter
from unpaired.evaluation.segmenting.trained import TrainedSegmenter


class Segmenter(Protocol):
    """Whatever reads photos."""

    @property
    def name(self) -> str:
        """For tables: every figure names the segmenter it was read by."""
        ...

    @property
    def key(self) -> str:
        """Another one, as soon as it may read otherwise; its name, if nothing better is known."""
        ...

    @property
    def classes(self) -> Classes:
        """What the values of its class maps mean."""
        ...

    def __call__(self, pictures: Photos) -> Maps:
        """(N, H, W, 3) uint8 -> (N, H, W) uint8."""
        ...


def load_segmenter(source: str, classes: Classes | None = None, device: str = "auto") -> Segmenter:
    """A segmenter by its folder, or by its name on Hugging Face: hf:NAME or hf:FOLDER.

    Args: classes: what the data's label images mean; one of ours must have the very same.
    Raises: UserError if there is none, it is damaged, or its classes are others.
    """
    if source.startswith("hf:"):
        if classes is None:
            raise UserError(f"{source} knows classes of its own; say with --classes which are read")
        return HuggingFaceSegmenter(source[3:], classes, device)
    segmenter = TrainedSegmenter.load(Path(source), device)
    if classes is not None and segmenter.classes.names != classes.names:
        raise UserError(
            f'the segmenter "{source}" knows the classes {segmenter.classes.name}, not '
            f"{classes.name}; give the one that was trained on this data"
        )
    return segmenter
