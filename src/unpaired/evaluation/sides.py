"""What an evaluation finds: each direction of a run, its pictures and its numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unpaired.data.decode import Pixels
from unpaired.data.images import DomainName
from unpaired.data.showing import comparable
from unpaired.evaluation.diagnosis import Finding
from unpaired.evaluation.failures import worst
from unpaired.evaluation.faithfulness import Faithfulness
from unpaired.evaluation.metrics import Scores
from unpaired.evaluation.reconstruction import Reconstruction
from unpaired.methods.base import Direction

PerPicture = dict[str, NDArray[np.float64]]  # each (N,)
BACK: dict[Direction, Direction] = {"x2y": "y2x", "y2x": "x2y"}


@dataclass(frozen=True)
class Side:
    """One direction: what went in, what came out, and how far it is from real.

    Pictures are (N, H, W, C) in the type of their domain.
    """

    direction: Direction
    names: tuple[str, ...]
    inputs: Pixels
    translated: Pixels
    recoloured: Pixels
    """The inputs under the best single colour transform fitted on training pictures."""
    truth: Pixels | None
    """The hidden true pairs; None if the data set has none."""
    reconstruction: Reconstruction | None
    """The translations translated back; None if the run has one direction."""
    faithfulness: Faithfulness
    """Where each translation may have invented something."""
    findings: tuple[Finding, ...]
    """What the doctor says of the translations."""
    scores: dict[str, Scores]
    """By row: "run", then what gives it meaning (ROWS), then by metric."""
    per_picture: PerPicture
    """By metric, of the run's translations."""
    seen_as: dict[str, str]
    """How pictures of more than plain 8 bits are shown: "input" and "translation"."""

    @property
    def stand_in(self) -> bool:
        """Whether inputs have channels that the target lacks: what is compared is `likened`."""
        return not comparable(self.inputs.shape[3], self.translated.shape[3])


@dataclass(frozen=True)
class Evaluation:
    """Every direction of a run, and what it was measured on."""

    features: str
    """Names of the nets in whose space distances were taken."""
    perceptual: str | None
    segmenter: str | None
    held_out: bool
    """False: the data set has no test split, and these pictures were trained on."""
    sides: tuple[Side, ...]

    @property
    def nets(self) -> dict[str, str | None]:
        """What stands in the titles of metrics: the nets that they are taken with."""
        return {"features": self.features, "perceptual": self.perceptual}

    def numbers(self) -> dict[str, Any]:
        """For machines: every score, with intervals and counts."""
        return {
            side.direction: {
                "pictures": len(side.inputs),
                "scores": {
                    row: {metric: e and asdict(e) for metric, e in scores.items()}
                    for row, scores in side.scores.items()
                },
                "findings": [found.line for found in side.findings],
                "failures": {
                    key: [[side.names[i], float(side.per_picture[key][i])] for i in chosen]
                    for key, chosen in worst(side.per_picture).items()
                },
                "reconstruction": side.reconstruction and side.reconstruction.numbers(),
                "seen_as": side.seen_as,
            }
            for side in self.sides
        }


def domains(direction: Direction) -> tuple[DomainName, DomainName]:
    """(source, target) of a direction."""
    return ("x", "y") if direction == "x2y" else ("y", "x")
