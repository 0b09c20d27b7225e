"""A generator that others trained and published: the real thing, where it is installed."""

from importlib import util
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.translation.fakes import noise
from unpaired import Translator
from unpaired.translation.importing import Source, import_weights

FOUND = util.find_spec("vintagify")
pytestmark = pytest.mark.skipif(FOUND is None, reason="pip install vintagify, 45 MB")


@torch.no_grad()
def test_the_generator_of_vintagify_is_recognised_and_translates_as_in_its_package(tmp_path):
    from vintagify.generator import ResnetGenerator

    path = Path(str(FOUND.origin)).parent / "resources" / "G_A2B_epoch33.pth"
    layout = import_weights(Source(path, path.name), tmp_path / "run").G.layout
    assert layout.in_words() == (
        "ResNet of 9 blocks, 64 filters, 3 -> 3 channels, affine instance norm"
    )
    theirs = ResnetGenerator().eval()
    theirs.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    pixels = noise(8, 10).repeat(4, 0).repeat(4, 1)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    expected = (theirs(x)[0].permute(1, 2, 0) + 1) * 127.5
    made = Translator.load(tmp_path / "run", precision="fp32")(pixels)
    assert made.std() > 10
    assert np.abs(made - expected.numpy()).max() <= 0.51  # the rounding to whole grey levels
