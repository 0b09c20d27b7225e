"""The judge of a run while it trains."""

import math

import numpy as np
import pytest
import torch

from tests.evaluation.corners import Corners
from unpaired.data.catalog import worldtiles_view
from unpaired.data.showing import as_rgb
from unpaired.evaluation.distances import kid_estimate
from unpaired.evaluation.validation import KIDJudge, _players
from unpaired.methods import METHODS
from unpaired.training.validation import Seen


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


def test_what_goes_wrong_is_found_in_the_direction_in_which_it_goes_wrong():
    x, y = (
        torch.from_numpy(worldtiles_view(view, "test")[::8].copy()).permute(0, 3, 1, 2) / 127.5 - 1
        for view in ("map", "aerial")
    )

    def translate(images, way):
        """Perfect one way, one and the same picture the other way."""
        if way == "x2y":
            return y[[(x == image).flatten(1).all(1).int().argmax().item() for image in images]]
        return x[:1].expand(len(images), -1, -1, -1)

    losses = {"D_Y": [0.2, 0.21, 0.2, 0.19], "D_X": [1e-4, 1e-4, 2e-4, 1e-4]}
    judged = KIDJudge(Corners())(
        Seen(translate, x, y, ("x2y", "y2x"), losses, step=1, adversarial="lsgan")
    )
    assert {(f.name, f.direction) for f in judged.findings} == {
        ("mode_collapse", "y2x"),
        ("discriminator_wins", "y2x"),
    }
    assert all(f.evidence and f.advice for f in judged.findings)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_names_the_discriminator_of_each_direction_so_that_the_judge_knows_it(name):
    method = METHODS[name](METHODS[name].Config(), channels_x=3, channels_y=3, size=64).to("meta")
    made = {way: torch.zeros(2, 3, 64, 64, device="meta") for way in "xy"}
    if name == "feature_gan":
        method.prepare()
        method.to("meta")
    drawn = method.generate(made)
    losses = {
        term: [0.0] for player in method.players for term in method.losses(player, made, drawn)
    }
    for direction in method.directions:
        assert set(_players(losses, direction)) == {"D", "G"}
