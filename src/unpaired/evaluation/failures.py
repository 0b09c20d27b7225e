"""Which translations count as failures: the worst of a run, shown and not hidden."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

WORST = 4

FAILURES = {
    "l1": "The %d translations furthest from their hidden truth, of %d; the mean error of 255.",
    "cycle_l1": "The %d pictures that come back least like themselves, of %d; the mean error of "
    "255.",
    "feature_distance": "The %d translations that look least like any real picture, of %d; the "
    "distance to the 3 nearest real ones, as the feature net sees them.",
}
"""By which figure of its own a translation counts as a failure; larger is worse."""


def worst(
    per_picture: Mapping[str, NDArray[np.float64]], count: int = WORST
) -> dict[str, list[int]]:
    """By the figure: the indices of the pictures with its largest values, the largest first."""
    return {
        key: [int(i) for i in np.argsort(-per_picture[key], kind="stable")[:count]]
        for key in FAILURES
        if key in per_picture
    }
