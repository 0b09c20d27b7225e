"""Every data set of the paper has a preset, with the paper's numbers."""

import pytest

from unpaired.data.paper_sets import PAPER_SETS
from unpaired.methods import METHODS
from unpaired.training.config import TrainConfig, from_dict, to_dict
from unpaired.training.dataset_presets import DATASET_PRESETS
from unpaired.training.presets import PRESETS, apply_preset

ALL = [(name, method) for name, (_, _, settings) in DATASET_PRESETS.items() for method in settings]


def default(method: str) -> TrainConfig:
    return TrainConfig(settings=METHODS[method].Config(), method=method)


def test_every_set_that_trains_has_one():
    trains = {name.removesuffix("-pairs") for name, known in PAPER_SETS.items() if known.trains}
    assert set(DATASET_PRESETS) == trains
    assert set(DATASET_PRESETS) <= set(PRESETS)
    for about, _, settings in DATASET_PRESETS.values():
        assert "Not run here." in about
        assert "cyclegan" in settings


@pytest.mark.parametrize(("name", "method"), ALL)
def test_each_applies_to_its_methods_and_is_a_configuration_that_runs_again(name, method):
    config = apply_preset(default(method), name)
    assert from_dict(to_dict(config)) == config
    assert config.preset == name
    assert (config.batch, config.epochs, config.history, config.ema) == (1, 200, 50, 0.0)
    assert (config.optimizer.lr, config.optimizer.beta1) == (2e-4, 0.5)


@pytest.mark.parametrize("name", DATASET_PRESETS)
def test_the_identity_term_is_on_where_the_paper_has_it_and_sizes_are_its(name):
    config = apply_preset(default("cyclegan"), name)
    on = name.endswith("2photo") or name == "iphone2dslr_flower"
    assert config.settings.loss.identities == ((5.0, 5.0) if on else (0.0, 0.0))
    assert config.settings.loss.cycles == (10.0, 10.0)
    assert config.size == (128 if name == "cityscapes" else 256)
    flower = name == "iphone2dslr_flower"
    assert config.images.mode == ("scale-width" if flower else "resize-crop")
    load = {"cityscapes": 143, "iphone2dslr_flower": 360}.get(name, 286)
    assert config.images.load_size(config.size) == load
