"""A run's numbers on its test pictures, next to the numbers that give them meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unpaired.data.decode import Picture, Pixels, with_dtype
from unpaired.data.images import DomainName
from unpaired.data.showing import as_rgb, comparable, likened, seen_as
from unpaired.evaluation.baselines import ColourTransform
from unpaired.evaluation.diagnosis import Finding, Sight, diagnose
from unpaired.evaluation.distances import (
    fid_estimate,
    fid_least,
    kid_estimate,
    neighbour_distances,
    precision_recall_estimates,
)
from unpaired.evaluation.estimates import mean_estimate
from unpaired.evaluation.failures import worst
from unpaired.evaluation.faithfulness import Faithfulness, faithfulness
from unpaired.evaluation.features import FeatureNet, Features
from unpaired.evaluation.metrics import Scores
from unpaired.evaluation.paired import absolute_errors, psnr, ssim
from unpaired.evaluation.perceptual import PerceptualNet
from unpaired.evaluation.reconstruction import Reconstruction, reconstruct
from unpaired.evaluation.segmenting.task import LabelTask
from unpaired.evaluation.views import Views
from unpaired.methods.base import Direction
from unpaired.translation.translator import Translator

BATCH = 16
BACK: dict[Direction, Direction] = {"x2y": "y2x", "y2x": "x2y"}

PerPicture = dict[str, NDArray[np.float64]]  # each (N,)


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
    """By row: "run", then what gives it meaning (ROWS of the report), then by metric."""
    per_picture: PerPicture
    """By metric, of the run's translations."""

    @property
    def stand_in(self) -> bool:
        """Whether inputs have channels that the target lacks: what is compared is `likened`."""
        return not comparable(self.inputs.shape[3], self.translated.shape[3])

    @property
    def seen_as(self) -> dict[str, str]:
        """How pictures that are not plain 8 bits are shown, by "input" and "translation"."""
        both = {"input": self.inputs, "translation": self.translated}
        told = {name: seen_as(p.shape[3], str(p.dtype)) for name, p in both.items()}
        return {name: how for name, how in told.items() if how}


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


def evaluate(
    translators: Mapping[str, Translator],
    views: Views,
    features: FeatureNet,
    *,
    perceptual: PerceptualNet | None = None,
    labels: LabelTask | None = None,
    seed: int = 0,
) -> Evaluation:
    """Translate the test pictures and compare: sets by their features, pairs one by one.

    Each direction is measured against the real test pictures of its target domain. "real" is what
    the training pictures of that domain score against them: as near as real pictures of other
    things come.

    Args:
        translators: by row of the table; the first is the run whose pictures are kept, others
            (such as "best" beside "run") give numbers only.
        labels: for data of label images and photos.
    """
    judge = _Judge(views, features, perceptual, labels, seed)
    first = next(iter(translators.values()))
    sides = tuple(_side(judge, translators, direction) for direction in first.directions)
    return Evaluation(
        features=features.name,
        perceptual=perceptual.name if perceptual is not None and views.paired else None,
        segmenter=labels.segmenter.name if labels is not None and labels.segmenter else None,
        held_out=views.held_out,
        sides=sides,
    )


class _Judge:
    """What pictures in a direction's target domain score."""

    def __init__(
        self,
        views: Views,
        features: FeatureNet,
        perceptual: PerceptualNet | None,
        labels: LabelTask | None,
        seed: int,
    ) -> None:
        self.views, self.features, self.perceptual = views, features, perceptual
        self.labels, self.seed = labels, seed
        self.seen: dict[int, tuple[Pixels, Features]] = {}  # holds pictures: ids stay theirs

    def vectors(self, pictures: Pixels) -> Features:
        if id(pictures) not in self.seen:
            self.seen[id(pictures)] = pictures, self.features(as_rgb(pictures))
        return self.seen[id(pictures)][1]

    def scores(self, pictures: Pixels, direction: Direction) -> tuple[Scores, PerPicture]:
        """Everything that one set of pictures can be given: (means, each picture's own)."""
        target = domains(direction)[1]
        real = self.views.test[target]
        own: PerPicture = {}
        found: Scores = {}
        if self.labels is not None and self.labels.judges(direction, self.views.paired):
            maps = self.labels.read(pictures, direction)
            found |= self.labels.scores(maps, self.seed)
            own |= self.labels.per_picture(maps)
        found |= self.distances(pictures, real)
        own["feature_distance"] = neighbour_distances(self.vectors(pictures), self.vectors(real))
        if self.views.paired:
            pairs = {
                "l1": absolute_errors(pictures, real),
                "psnr": psnr(pictures, real),
                "ssim": ssim(pictures, real),
            }
            if self.perceptual is not None:
                pairs["lpips"] = self.perceptual(as_rgb(pictures), as_rgb(real))
            found |= {name: mean_estimate(values, self.seed) for name, values in pairs.items()}
            own |= pairs
        return found, own

    def distances(self, pictures: Pixels, real: Pixels) -> Scores:
        """How far a set of pictures lies from a real set."""
        a, b = self.vectors(pictures), self.vectors(real)
        found: Scores = {"kid": kid_estimate(a, b, self.seed)}
        if min(len(a), len(b)) >= fid_least(a):
            found["fid"] = fid_estimate(a, b)
        return found | precision_recall_estimates(a, b, seed=self.seed)


def _side(judge: _Judge, translators: Mapping[str, Translator], direction: Direction) -> Side:
    views, labels = judge.views, judge.labels
    source, target = domains(direction)
    inputs, real = views.test[source], views.test[target]
    plain = as_pictures_of(inputs, real)
    transform = ColourTransform.fit(as_pictures_of(views.train[source], real), views.train[target])
    recoloured = transform(plain)
    made = {row: _translate(own, inputs, direction) for row, own in translators.items()}
    first, *_ = translators
    main, translated = translators[first], made[first]
    scores: dict[str, Scores] = {}
    for row, pictures in {"input": plain, "colour": recoloured, **made}.items():
        scores[row], own = judge.scores(pictures, direction)
        if row == first:
            per_picture = own
    if labels is not None and labels.judges(direction, views.paired):
        scores |= labels.floors(direction, views, judge.seed)
    floor = (views.train[target], real) if views.held_out else (real[::2], real[1::2])
    scores["real"] = judge.distances(*floor) if min(map(len, floor)) > 1 else {}
    reconstruction = None
    if (back := BACK[direction]) in main.directions:
        reconstruction = reconstruct(
            lambda pictures: _translate(main, pictures, back), inputs, translated, judge.seed
        )
        per_picture |= {f"cycle_{k}": v for k, v in reconstruction.per_picture.items()}
    faith = faithfulness(
        inputs, translated, None if reconstruction is None else reconstruction.pictures
    )
    seen = plain if comparable(inputs.shape[3], real.shape[3]) else inputs
    sight = Sight(seen, translated, real, judge.vectors(translated), judge.vectors(real))
    return Side(
        direction=direction,
        names=views.names[source],
        inputs=inputs,
        translated=translated,
        recoloured=recoloured,
        truth=real if views.paired else None,
        reconstruction=reconstruction,
        faithfulness=faith,
        findings=tuple(diagnose(sight)),
        scores=scores,
        per_picture=per_picture | {"structure_change": faith.structure_change},
    )


def domains(direction: Direction) -> tuple[DomainName, DomainName]:
    """(source, target) of a direction."""
    return ("x", "y") if direction == "x2y" else ("y", "x")


def as_pictures_of(pictures: Pixels, like: Pixels) -> Pixels:
    """With the channels and type of another domain; `likened` where channels don't convert."""
    if pictures.shape[3] == like.shape[3] and pictures.dtype == like.dtype:
        return pictures
    flat = likened(pictures, like.shape[3]).reshape(-1, pictures.shape[2], like.shape[3])
    return with_dtype(flat, str(like.dtype)).reshape(*pictures.shape[:3], like.shape[3])


def _translate(translator: Translator, pictures: Pixels, direction: Direction) -> Pixels:
    made: list[Pixels] = []
    for i in range(0, len(pictures), BATCH):
        batch = [Picture(pixels) for pixels in pictures[i : i + BATCH]]
        made += [picture.pixels for picture in translator.pictures(batch, direction)]
    return np.stack(made)
