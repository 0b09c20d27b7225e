"""The options that say what runs are measured with: of `unpaired evaluate` and `reproduce`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # it brings torch
    from unpaired.evaluation.instruments import Instruments


@dataclass(frozen=True)
class MeasuringOptions:
    """What runs are measured with."""

    feature_net: str = "efficientnet"
    """The net in whose space distances are taken: efficientnet (comes along) or inception."""
    perceptual: Literal["none", "auto", "imagenet", "hed"] = "none"
    """Whose weights of VGG-16 take the LPIPS-like distance; none: it isn't taken."""
    classes: str | None = None
    """What the colours of label images mean: worldtiles, cityscapes, camvid, or a JSON file."""
    segmenter: str | None = None
    """Who reads photos for the FCN score: a folder of `unpaired segmenter train`, or hf:NAME."""
    limit: int = 500
    """Pictures per domain and split, spread evenly."""

    def instruments(self, data: str | None) -> Instruments:
        """Args: data: of the runs; a named set with label images brings its own classes.

        Raises: UserError for what isn't there.
        """
        from unpaired.evaluation.instruments import instruments

        return instruments(
            data=data,
            features=self.feature_net,
            perceptual=self.perceptual,
            classes=self.classes,
            segmenter=self.segmenter,
            limit=self.limit,
        )
