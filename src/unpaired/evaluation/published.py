"""The figures that the papers print, to set beside our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FCN_KEYS = ("pixel_accuracy", "class_accuracy", "class_iou")


@dataclass(frozen=True)
class PublishedTable:
    """One table of Zhu et al. 2017: figures by row and by column."""

    number: str
    title: str
    about: str
    """Data, size, and who read the pictures: why the figures don't compare one to one."""
    columns: tuple[str, ...]
    """Keys of METRICS, such as "fooled"."""
    to_photo: bool
    """Labels (or map) -> photo; else the other direction."""
    rows: Mapping[str, tuple[float, ...]]
    """By contender, one figure per column."""
    spreads: Mapping[str, tuple[float, ...]]
    """What the paper prints after its plus-minus, if it does."""


CITYSCAPES = "Cityscapes at 128 x 128; photos read by FCN-8s, label images by their nearest colour"
MAPS = "Google Maps at 256 x 256; people who took the translation for the real picture, in per cent"

FOOLED = {
    "cogan": ((0.6, 0.5), (0.9, 0.5)),
    "bigan": ((2.1, 1.0), (1.9, 0.9)),
    "simgan": ((0.7, 0.5), (2.6, 1.1)),
    "feature_gan": ((1.2, 0.6), (0.3, 0.2)),
    "cyclegan": ((26.8, 2.8), (23.2, 3.4)),
}
"""Table 1, by direction: map -> photo, photo -> map."""

FCN = {
    "cogan": ((0.40, 0.10, 0.06), (0.45, 0.11, 0.08)),
    "bigan": ((0.19, 0.06, 0.02), (0.41, 0.13, 0.07)),
    "simgan": ((0.20, 0.10, 0.04), (0.47, 0.11, 0.07)),
    "feature_gan": ((0.06, 0.04, 0.01), (0.50, 0.10, 0.06)),
    "cyclegan": ((0.52, 0.17, 0.11), (0.58, 0.22, 0.16)),
    "pix2pix": ((0.71, 0.25, 0.18), (0.85, 0.40, 0.32)),
    "cycle-alone": ((0.22, 0.07, 0.02), (0.10, 0.05, 0.02)),
    "gan-alone": ((0.51, 0.11, 0.08), (0.53, 0.11, 0.07)),
    "gan-forward-cycle": ((0.55, 0.18, 0.12), (0.49, 0.11, 0.07)),
    "gan-backward-cycle": ((0.39, 0.14, 0.06), (0.01, 0.06, 0.01)),
}
"""Tables 2 to 5, by direction: labels -> photo, photo -> labels."""

BASELINES = ("cogan", "bigan", "simgan", "feature_gan", "cyclegan", "pix2pix")
ABLATIONS = ("cycle-alone", "gan-alone", "gan-forward-cycle", "gan-backward-cycle", "cyclegan")


def _fcn(number: str, title: str, rows: tuple[str, ...], to_photo: bool) -> PublishedTable:
    way = 0 if to_photo else 1
    figures = {row: FCN[row][way] for row in rows}
    return PublishedTable(number, title, CITYSCAPES, FCN_KEYS, to_photo, figures, {})


PUBLISHED: dict[str, PublishedTable] = {
    "1a": PublishedTable(
        "1a",
        "Real or fake, as people saw it: map to aerial photo",
        MAPS,
        ("fooled",),
        True,
        {row: (ways[0][0],) for row, ways in FOOLED.items()},
        {row: (ways[0][1],) for row, ways in FOOLED.items()},
    ),
    "1b": PublishedTable(
        "1b",
        "Real or fake, as people saw it: aerial photo to map",
        MAPS,
        ("fooled",),
        False,
        {row: (ways[1][0],) for row, ways in FOOLED.items()},
        {row: (ways[1][1],) for row, ways in FOOLED.items()},
    ),
    "2": _fcn("2", "Methods, labels to photo", BASELINES, True),
    "3": _fcn("3", "Methods, photo to labels", BASELINES, False),
    "4": _fcn("4", "Parts of the objective, labels to photo", ABLATIONS, True),
    "5": _fcn("5", "Parts of the objective, photo to labels", ABLATIONS, False),
}
"""Zhu et al. 2017, Tables 1 to 5, by number; Table 1 has two halves, a and b."""
