"""What runs are measured with: feature nets, classes of label images, the reader of photos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from unpaired import __version__
from unpaired.errors import UserError
from unpaired.evaluation.cached import CachedFeatures
from unpaired.evaluation.features import FEATURE_NETS, FeatureNet
from unpaired.evaluation.perceptual import PerceptualNet, VGG16Distance
from unpaired.evaluation.segmenting.classes import CLASSES, Classes, read_classes
from unpaired.evaluation.segmenting.segmenter import Segmenter, load_segmenter
from unpaired.networks.vgg import Source
from unpaired.options import nearest

LIMIT = 500  # pictures per domain; more take longer and say little more


@dataclass(frozen=True)
class Instruments:
    """What a run is measured with; the same for every run of a table."""

    features: FeatureNet
    perceptual: PerceptualNet | None = None
    classes: Classes | None = None
    """Of the label images, for data that have some."""
    segmenter: Segmenter | None = None
    limit: int = LIMIT
    """Pictures per domain and split."""
    seed: int = 0
    """Of the bootstrap."""

    def names(self) -> dict[str, Any]:
        """What numbers depend on beside the run itself."""
        return {
            "unpaired": __version__,
            "features": self.features.name,
            "perceptual": self.perceptual and self.perceptual.name,
            "classes": self.classes and self.classes.name,
            "classes_key": self.classes and self.classes.key,
            "segmenter": self.segmenter and self.segmenter.name,
            "segmenter_key": self.segmenter and self.segmenter.key,
            "limit": self.limit,
            "seed": self.seed,
        }


def instruments(
    *,
    data: str | None = None,
    features: str = "efficientnet",
    perceptual: Source | Literal["none"] = "none",
    classes: str | None = None,
    segmenter: str | None = None,
    limit: int = LIMIT,
) -> Instruments:
    """Instruments by their names on the command line.

    Args:
        data: a named set with label images brings its own classes.
        features: a key of FEATURE_NETS.
        perceptual: "imagenet" or "hed", which weights of VGG-16 take the LPIPS-like distance;
            "auto": those at hand; "none": it isn't taken.
        classes: a key of CLASSES or a JSON file.
        segmenter: a folder that `unpaired segmenter train` made, or hf:NAME.
    Raises: UserError for what isn't there.
    """
    if features not in FEATURE_NETS:
        raise UserError(
            f'--feature-net is "{features}"{nearest(features, FEATURE_NETS)}; give one of '
            f"{', '.join(FEATURE_NETS)}"
        )
    if limit < 2:
        raise UserError(f"--limit is {limit}; give 2 pictures or more")
    name, _, pair = (data or "").partition(":")
    if classes is None and name in CLASSES and "labels" in pair:
        classes = name
    known = None if classes is None else read_classes(classes)
    if segmenter is not None and known is None:
        raise UserError("--segmenter needs to know what the labels' colours mean; give --classes")
    return Instruments(
        CachedFeatures(FEATURE_NETS[features]()),
        None if perceptual == "none" else VGG16Distance(perceptual),
        known,
        None if segmenter is None or known is None else load_segmenter(segmenter, known),
        limit,
    )
