"""The judge of a run while it trains."""

import math

import numpy as np
import torch

from unpaired.evaluation.distances import kid_estimate
from unpaired.evaluation.features import as_rgb
from unpaired.evaluation.validation import KIDJudge
from unpaired.training.validation import Seen


class Corners:
    """Features that cost nothing: the picture, coarsely."""

    name = "Corners"

    def __call__(self, pictures):
        return pictures[:, ::8, ::8].reshape(len(pictures), -1) / 255.0


def dark_and_bright(count: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(count, 3, 16, 16, generator=generator) * 0.5 - 1
    y = torch.rand(count, 3, 16, 16, generator=generator) * 0.5 + 0.5
    return x, y


def shifted(images: torch.Tensor, way: str) -> torch.Tensor:
    return images + (1.5 if way == "x2y" else -1.5)


def seen(translate, directions=("x2y", "y2x")) -> Seen:
    x, y = dark_and_bright()
    return Seen(translate, x, y, directions, losses={}, step=1)


def test_the_score_is_low_where_translations_look_like_the_other_domain():
    good = KIDJudge(Corners())(seen(shifted))
    bad = KIDJudge(Corners())(seen(lambda images, way: images))
    assert abs(good.score) < 0.05 < bad.score


def test_the_score_is_the_mean_over_directions_and_each_has_its_standard_error():
    judgement = KIDJudge(Corners())(seen(lambda images, way: images * (0.5 if way == "x2y" else 1)))
    numbers = judgement.numbers
    assert numbers["kid_x2y"] != numbers["kid_y2x"]
    assert judgement.score == (numbers["kid_x2y"] + numbers["kid_y2x"]) / 2
    x, y = (
        as_rgb(np.rint((side.permute(0, 2, 3, 1).numpy() + 1) * 127.5).astype(np.uint8))
        for side in dark_and_bright()
    )
    expected = kid_estimate(Corners()(y), Corners()(x))
    assert math.isclose(numbers["kid_y2x"], expected.value)
    assert math.isclose(numbers["kid_y2x_error"], expected.error)


def test_a_method_that_goes_one_way_is_judged_that_way_only():
    asked = []

    def one_way(images, way):
        asked.append(way)
        return shifted(images, way)

    judgement = KIDJudge(Corners())(seen(one_way, ("x2y",)))
    assert set(asked) == {"x2y"}
    assert set(judgement.numbers) == {"kid_x2y", "kid_x2y_error"}
    assert judgement.score == judgement.numbers["kid_x2y"]


def test_translations_that_are_not_finite_have_no_score():
    def broken(images, way):
        return images.clone().fill_(math.nan) if way == "y2x" else images

    judgement = KIDJudge(Corners())(seen(broken))
    assert math.isnan(judgement.score)
    assert math.isfinite(judgement.numbers["kid_x2y"])
