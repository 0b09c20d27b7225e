"""A run's numbers on its test pictures, next to the numbers that give them meaning."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unpaired.data.conversions import with_dtype
from unpaired.data.decode import Picture, Pixels
from unpaired.data.showing import as_rgb, comparable, likened
from unpaired.evaluation.baselines import ColourTransform
from unpaired.evaluation.diagnosis import Sight, diagnose
from unpaired.evaluation.distances import (
    fid_estimate,
    fid_least,
    kid_estimate,
    neighbour_distances,
    precision_recall_estimates,
)
from unpaired.evaluation.estimates import mean_estimate
from unpaired.evaluation.faithfulness import faithfulness
from unpaired.evaluation.features import FeatureNet, Features
from unpaired.evaluation.metrics import Scores
from unpaired.evaluation.paired import absolute_errors, psnr, ssim
from unpaired.evaluation.perceptual import PerceptualNet
from unpaired.evaluation.reconstruction import reconstruct
from unpaired.evaluation.segmenting.task import LabelTask
from unpaired.evaluation.sides import BACK, Evaluation, PerPicture, Side, domains
from unpaired.evaluation.views import Views
from unpaired.methods.base import Direction
from unpaired.telling import note
from unpaired.translation.base import BaseTranslator

BATCH = 16


def evaluate(
    translators: Mapping[str, BaseTranslator],
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


def _side(judge: _Judge, translators: Mapping[str, BaseTranslator], direction: Direction) -> Side:
    views, labels = judge.views, judge.labels
    source, target = domains(direction)
    inputs, real = views.test[source], views.test[target]
    plain = as_pictures_of(inputs, real)
    transform = ColourTransform.fit(as_pictures_of(views.train[source], real), views.train[target])
    recoloured = transform(plain)
    note(f"{direction}: translating {len(inputs)} test pictures ...")
    made = {row: _translate(own, inputs, direction) for row, own in translators.items()}
    note(f"{direction}: measuring them, and what they are compared with ...")
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
        note(f"{direction}: translating them back ...")
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
        seen_as=views.seen_as(source, target),
    )


def as_pictures_of(pictures: Pixels, like: Pixels) -> Pixels:
    """With the channels and type of another domain; `likened` where channels don't convert."""
    if pictures.shape[3] == like.shape[3] and pictures.dtype == like.dtype:
        return pictures
    flat = likened(pictures, like.shape[3]).reshape(-1, pictures.shape[2], like.shape[3])
    return with_dtype(flat, str(like.dtype)).reshape(*pictures.shape[:3], like.shape[3])


def _translate(translator: BaseTranslator, pictures: Pixels, direction: Direction) -> Pixels:
    made: list[Pixels] = []
    for i in range(0, len(pictures), BATCH):
        batch = [Picture(pixels) for pixels in pictures[i : i + BATCH]]
        made += [picture.pixels for picture in translator.pictures(batch, direction)]
    return np.stack(made)
