"""Every detector, on pictures made to have its fault and on healthy ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from unpaired.data.catalog import worldtiles_view
from unpaired.evaluation.diagnosis import DETECTORS, Sight, diagnose
from unpaired.options import parse
from unpaired.training.config import TrainConfig

MAPS, AERIALS, LABELS, TERRAIN = (
    worldtiles_view(view, "test")[::4] for view in ("map", "aerial", "labels", "terrain")
)
OTHER_AERIALS, OTHER_MAPS = (worldtiles_view(view, "train_y")[::5] for view in ("aerial", "map"))
OTHER_LABELS = worldtiles_view("labels", "train_y")[::5]
HEALTHY = Sight(MAPS, AERIALS, OTHER_AERIALS)


def names(sight):
    return {finding.name for finding in diagnose(sight)}


def blended(a, b, share):
    return np.rint((1 - share) * a.astype(float) + share * b).clip(0, 255).astype(np.uint8)


def with_lattice(pictures, period, strength):
    wave = np.cos(2 * np.pi * np.indices(pictures.shape[1:3]).sum(0) / period) * strength
    return np.clip(pictures + wave[None, :, :, None], 0, 255).astype(np.uint8)


def with_spots(pictures, count, seed=0):
    rng, made = np.random.default_rng(seed), pictures.copy()
    for picture in made:
        for _ in range(count):
            top, left = rng.integers(4, 56, 2)
            picture[top : top + 4, left : left + 4] = 255 if picture.mean() < 128 else 0
    return made


@pytest.mark.parametrize(
    ("inputs", "real", "others"),
    [
        (MAPS, AERIALS, OTHER_AERIALS),
        (AERIALS, MAPS, OTHER_MAPS),
        (LABELS, AERIALS, OTHER_AERIALS),
        (AERIALS, LABELS, OTHER_LABELS),
        (TERRAIN, AERIALS, OTHER_AERIALS),
    ],
    ids=["map-aerial", "aerial-map", "labels-aerial", "aerial-labels", "terrain-aerial"],
)
def test_true_translations_are_healthy(inputs, real, others):
    assert names(Sight(inputs, real, others)) == set()
    grey = [p.mean(3, keepdims=True).astype(np.uint8) for p in (inputs, real, others)]
    assert names(Sight(*grey)) == set()
    deep = [p.astype(np.uint16) * 257 for p in (inputs, real, others)]
    assert names(Sight(*deep)) == set()


@pytest.mark.parametrize("strength", [1.0, 0.9])
def test_negatives_are_inverted_colours(strength):
    inverted = blended(255 - AERIALS, OTHER_AERIALS[: len(AERIALS)], 1 - strength)
    assert "colour_inversion" in names(Sight(AERIALS, inverted, OTHER_MAPS))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2])
def test_inputs_that_hardly_change_are_an_identity_collapse(share):
    assert "identity_collapse" in names(replace(HEALTHY, translated=blended(MAPS, AERIALS, share)))


def test_domains_that_are_alike_may_stay_as_they_are():
    assert names(Sight(AERIALS, AERIALS, OTHER_AERIALS)) == set()


@pytest.mark.parametrize("share", [1.0, 0.8])
def test_one_output_for_all_inputs_is_a_mode_collapse(share):
    one = np.broadcast_to(AERIALS[3], AERIALS.shape)
    assert "mode_collapse" in names(replace(HEALTHY, translated=blended(AERIALS, one, share)))


def test_features_that_vary_acquit_of_mode_collapse():
    one = np.broadcast_to(AERIALS[3], AERIALS.shape)
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(len(AERIALS), 8))
    sight = replace(HEALTHY, translated=blended(AERIALS, one, 0.8))
    varied = replace(sight, translated_features=wide, real_features=wide)
    alike = replace(sight, translated_features=0.1 * wide, real_features=wide)
    assert "mode_collapse" not in names(varied)
    assert "mode_collapse" in names(alike)


@pytest.mark.parametrize("kind", ["lsgan", "log", "hinge"])
def test_a_discriminator_without_losses_has_won(kind):
    won = {"D": [0.2, 0.1, 0.001, 0.0005, 0.0006, 0.0004]}
    fair = {"D": [0.2, 0.15, 0.12, 0.16, 0.11, 0.14]}
    assert "discriminator_wins" in names(replace(HEALTHY, losses=won, adversarial=kind))
    assert names(replace(HEALTHY, losses=fair, adversarial=kind)) == set()
    assert names(replace(HEALTHY, losses=won, adversarial="wgan-gp")) == set()


@pytest.mark.parametrize(("period", "strength"), [(2, 5), (2, 20), (4, 8), (4, 20)])
def test_a_lattice_is_a_checkerboard(period, strength):
    made = with_lattice(AERIALS, period, strength)
    found = {f.name: f for f in diagnose(replace(HEALTHY, translated=made))}
    assert f"lattice of {period} pixels" in found["checkerboard"].evidence


def test_a_transposed_convolution_that_overlaps_unevenly_is_a_checkerboard():
    small = torch.from_numpy(AERIALS.astype(np.float32)).permute(0, 3, 1, 2)[:, :, ::2, ::2]
    kernel = torch.full((1, 1, 3, 3), 1 / 2.25)
    up = torch.nn.functional.conv_transpose2d(
        small.reshape(-1, 1, 32, 32), kernel, stride=2, padding=1, output_padding=1
    )
    made = up.view(len(AERIALS), 3, 64, 64).permute(0, 2, 3, 1).clamp(0, 255).numpy()
    assert "checkerboard" in names(replace(HEALTHY, translated=made.astype(np.uint8)))


@pytest.mark.parametrize("count", [1, 3])
def test_spots_that_no_real_picture_has_are_blobs(count):
    assert names(replace(HEALTHY, translated=with_spots(AERIALS, count))) == {"blobs"}


def test_flat_outputs_and_runs_that_stand_still_are_dead():
    flat = np.full_like(AERIALS, 127)
    assert "dead_run" in names(replace(HEALTHY, translated=flat))
    assert names(replace(HEALTHY, change=0.0)) == {"dead_run"}
    assert names(replace(HEALTHY, change=1e-6)) == set()
    assert names(replace(HEALTHY, losses={"G": [0.7] * 5})) == {"dead_run"}


def test_few_pictures_tell_nothing():
    flat = np.full_like(AERIALS, 127)
    assert diagnose(Sight(MAPS[:3], flat[:3], OTHER_AERIALS)) == []


def test_a_finding_is_one_line_with_a_number_and_flags_that_exist():
    lattice, flat = with_lattice(AERIALS, 2, 20), np.full_like(AERIALS, 127)
    one = np.broadcast_to(AERIALS[3], AERIALS.shape)
    sick = [
        replace(HEALTHY, translated=lattice),
        replace(HEALTHY, translated=flat),
        replace(HEALTHY, translated=MAPS),
        replace(HEALTHY, translated=with_spots(AERIALS, 3)),
        replace(HEALTHY, translated=blended(AERIALS, one, 0.9)),
        replace(HEALTHY, losses={"D": [0.0001, 0.0002] * 4}, adversarial="lsgan"),
        Sight(AERIALS, 255 - AERIALS, OTHER_MAPS),
    ]
    findings = {found.name: found for sight in sick for found in diagnose(sight)}
    assert set(findings) == set(DETECTORS)
    from unpaired.methods import METHODS

    kind = TrainConfig[METHODS["cyclegan"].Config]
    values = {"--generator.upsample": "resize", "--generator.norm": "none"}
    values |= {"--generator.init": "kaiming", "--ema": "0.9", "--optimizer.lr": "0.001"}
    values |= {"--optimizer.lr-discriminators": "0.001"}
    for finding in findings.values():
        assert "\n" not in finding.line
        assert any(letter.isdigit() for letter in finding.evidence), finding
        flags = [word.strip(",;()") for word in finding.advice.split() if "--" in word]
        for flag in (word.strip("(") for word in flags):
            if flag != "--preset":
                config = kind(settings=METHODS["cyclegan"].Config())
                parse(kind, [flag, values.get(flag, "1")], "unpaired train", default=config)
