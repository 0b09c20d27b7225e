"""A run's numbers on its test pictures, next to the numbers that give them meaning."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unpaired.data.decode import Pixels, UnreadableImage, with_channels, with_dtype
from unpaired.data.domains import DataSet, Domain
from unpaired.data.images import DomainName, ImageConfig, prepare_fixed
from unpaired.data.order import spread
from unpaired.evaluation.baselines import ColourTransform
from unpaired.evaluation.distances import kid_estimate
from unpaired.evaluation.estimates import Estimate, mean_estimate
from unpaired.evaluation.features import FeatureNet, as_rgb
from unpaired.evaluation.paired import absolute_errors
from unpaired.methods.base import Direction
from unpaired.translation.translator import Translator

LIMIT = 500  # pictures per domain; more take longer and say little more
BATCH = 16
BACK: dict[Direction, Direction] = {"x2y": "y2x", "y2x": "x2y"}


@dataclass(frozen=True)
class Score:
    """One row of the table. None: this can't be measured here."""

    kid: Estimate | None
    mae: Estimate | None


@dataclass(frozen=True)
class Side:
    """One direction: what went in, what came out, and how far it is from real.

    Pictures are (N, size, size, C) in the type of their domain.
    """

    direction: Direction
    names: tuple[str, ...]
    inputs: Pixels
    translated: Pixels
    recoloured: Pixels
    """The inputs under the best single colour transform fitted on training pictures."""
    reconstructed: Pixels | None
    """The translations translated back; None if the run has one direction."""
    truth: Pixels | None
    """The hidden true pairs; None if the data set has none."""
    scores: dict[str, Score]
    """By "input", "colour", "run" and "real"."""
    cycle: Estimate | None
    """Mean absolute error of the reconstructions, in grey levels."""
    errors: np.ndarray | None
    """(N,): each translation's error against its truth, else its cycle error; worse is larger."""


@dataclass(frozen=True)
class Evaluation:
    """Both directions of a run, and what they were measured on."""

    metric: str
    held_out: bool
    """False: the data set has no test split, and these pictures were trained on."""
    sides: tuple[Side, ...]

    def numbers(self) -> dict[str, Any]:
        """For machines: every score, with intervals and counts."""
        return {
            side.direction: {
                "pictures": len(side.inputs),
                "scores": {name: asdict(score) for name, score in side.scores.items()},
                "cycle_mae": asdict(side.cycle) if side.cycle else None,
            }
            for side in self.sides
        }


def evaluate(
    translator: Translator,
    dataset: DataSet,
    images: ImageConfig,
    features: FeatureNet,
    *,
    limit: int = LIMIT,
    seed: int = 0,
) -> Evaluation:
    """Translate the test pictures and compare: sets by KID, pairs by mean absolute error.

    Each direction is measured against the real test pictures of its target domain. "real" is what
    the training pictures of that domain score against them: as near as real pictures of other
    things come. Pictures are seen as in training samples, without chance.

    Args: limit: pictures per domain and split, spread evenly.
    """
    held_out = len(dataset.test_x) > 1 and len(dataset.test_y) > 1
    size = translator.card.size
    pairs = held_out and dataset.paired_test
    x, y = (dataset.test_x, dataset.test_y) if held_out else (dataset.train_x, dataset.train_y)
    sets = {"x": _views(x, "x", images, size, limit), "y": _views(y, "y", images, size, limit)}
    if pairs:  # a pair of which one can't be read is no pair
        both = np.intersect1d(sets["x"][0], sets["y"][0])
        sets = {d: (both, pixels[np.isin(kept, both)]) for d, (kept, pixels) in sets.items()}
    train = {
        "x": _views(dataset.train_x, "x", images, size, limit)[1],
        "y": _views(dataset.train_y, "y", images, size, limit)[1],
    }
    seen: dict[int, tuple[Pixels, np.ndarray]] = {}  # holds the pictures, so that ids stay theirs

    def vectors(pictures: Pixels) -> np.ndarray:
        if id(pictures) not in seen:
            seen[id(pictures)] = pictures, features(as_rgb(pictures))
        return seen[id(pictures)][1]

    def distance(pictures: Pixels, real: Pixels) -> Estimate | None:
        if min(len(pictures), len(real)) < 2:
            return None
        return kid_estimate(vectors(pictures), vectors(real), seed)

    sides = []
    for direction in translator.directions:
        source, target = direction.split("2")
        kept, inputs = sets[source]
        domain = {"x": x, "y": y}[source]
        real = sets[target][1]
        truth = real if pairs else None
        translated = _translate(translator, inputs, direction)
        back = BACK[direction]
        returned = (
            _translate(translator, translated, back) if back in translator.directions else None
        )
        plain = _as(inputs, real)
        transform = ColourTransform.fit(_as(train[source], real), train[target])
        recoloured = transform(plain)
        scores = {
            "input": Score(distance(plain, real), _error(plain, truth, seed)),
            "colour": Score(distance(recoloured, real), _error(recoloured, truth, seed)),
            "run": Score(distance(translated, real), _error(translated, truth, seed)),
        }
        floor = (train[target], real) if held_out else (real[::2], real[1::2])
        scores["real"] = Score(distance(*floor), None)
        cycle = None if returned is None else absolute_errors(returned, inputs)
        sides.append(
            Side(
                direction=direction,
                names=tuple(domain.names[i] for i in kept),
                inputs=inputs,
                translated=translated,
                recoloured=recoloured,
                reconstructed=returned,
                truth=truth,
                scores=scores,
                cycle=None if cycle is None else mean_estimate(cycle, seed),
                errors=cycle if truth is None else absolute_errors(translated, truth),
            )
        )
    return Evaluation(f"KID-{features.name}", held_out, tuple(sides))


def _views(
    domain: Domain, name: DomainName, images: ImageConfig, size: int, limit: int
) -> tuple[NDArray[np.int64], Pixels]:
    """A domain's readable pictures as training samples are: (indices, (N, size, size, C))."""
    kept, pictures = [], []
    for i in spread(len(domain), limit):
        try:
            pictures.append(prepare_fixed(domain.read(i), images.of(name), size))
        except (UnreadableImage, ValueError):
            continue
        kept.append(i)
    empty = np.zeros((0, size, size, domain.channels), domain.dtype)
    return np.array(kept, np.int64), np.stack(pictures) if pictures else empty


def _translate(translator: Translator, pictures: Pixels, direction: Direction) -> Pixels:
    made: list[Pixels] = []
    for i in range(0, len(pictures), BATCH):
        made += translator(list(pictures[i : i + BATCH]), direction)
    return np.stack(made)


def _as(pictures: Pixels, like: Pixels) -> Pixels:
    """With the channels and type of another domain."""
    if pictures.shape[3] == like.shape[3] and pictures.dtype == like.dtype:
        return pictures
    flat = pictures.reshape(-1, *pictures.shape[2:])
    same = with_dtype(with_channels(flat, like.shape[3]), str(like.dtype))
    return same.reshape(*pictures.shape[:3], like.shape[3])


def _error(pictures: Pixels, truth: Pixels | None, seed: int) -> Estimate | None:
    return None if truth is None else mean_estimate(absolute_errors(pictures, truth), seed)
