"""The figures that an evaluation can give: what they are called, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from unpaired.evaluation.estimates import Estimate

Scores = dict[str, Estimate | None]
"""By a key of METRICS. None: it can't be measured here."""


@dataclass(frozen=True)
class Metric:
    """How one figure is shown."""

    title: str
    """With the unit; "{features}" stands for the name of the feature net, "{perceptual}" for that
    of the perceptual distance's."""
    better: Literal["lower", "higher"]
    digits: int
    """Decimals that are worth printing."""


METRICS: dict[str, Metric] = {
    "fooled": Metric("people fooled, %", "higher", 1),
    "pixel_accuracy": Metric("per-pixel accuracy", "higher", 2),
    "class_accuracy": Metric("per-class accuracy", "higher", 2),
    "class_iou": Metric("class IOU", "higher", 2),
    "kid": Metric("KID-{features}", "lower", 3),
    "fid": Metric("FID-{features}", "lower", 1),
    "precision": Metric("precision-{features}", "higher", 2),
    "recall": Metric("recall-{features}", "higher", 2),
    "l1": Metric("mean error, of 255", "lower", 1),
    "psnr": Metric("PSNR, dB", "higher", 1),
    "ssim": Metric("SSIM", "higher", 3),
    "lpips": Metric("LPIPS-{perceptual}", "lower", 3),
}

GROUPS = {
    "Do the classes survive?": ("pixel_accuracy", "class_accuracy", "class_iou"),
    "Does the set look real?": ("kid", "fid", "precision", "recall"),
    "Is each picture right?": ("l1", "psnr", "ssim", "lpips"),
}
"""Tables of the page, by the question that their metrics answer."""

ROWS = {
    "input": "the input, untranslated",
    "colour": "the best single colour transform",
    "majority": "the commonest class everywhere",
    "lookup": "a colour lookup table, fitted on true pairs",
    "run": "this run",
    "best": "this run, best on validation",
    "real": "other real pictures",
    "ceiling": "the segmenter on the real photos",
}
"""What the rows of a table are called, in order."""


def titled(metric: Metric, names: Mapping[str, str | None]) -> str:
    """A metric's title with the net it was taken with."""
    return metric.title.format(**{name: value or "" for name, value in names.items()})
