"""A configuration is checked when it is made, and `config.yaml` gives it back."""

import dataclasses

import pytest
import yaml

from tests.training.runs import tiny_config
from unpaired.errors import UserError
from unpaired.methods import METHODS
from unpaired.methods.cyclegan import CycleGANConfig, CycleLoss
from unpaired.training.config import (
    TrainConfig,
    differences,
    from_dict,
    read_yaml,
    to_dict,
    with_changes,
    write_yaml,
)
from unpaired.training.presets import PRESETS, apply_preset


def test_yaml_gives_the_same_configuration_back(tmp_path):
    config = tiny_config(tmp_path / "data", ema=0.5, minutes=None)
    write_yaml(config, tmp_path / "config.yaml")
    assert read_yaml(tmp_path / "config.yaml") == config


def test_the_defaults_are_the_papers():
    config = TrainConfig(settings=CycleGANConfig())
    assert (config.batch, config.size, config.history, config.ema) == (1, 256, 50, 0.0)
    assert config.length == {"epochs": 200}
    assert (config.optimizer.lr, config.optimizer.beta1) == (2e-4, 0.5)
    assert config.settings.loss == CycleLoss(adversarial="lsgan", cycle=10.0, identity=0.0)
    assert (config.settings.filters, config.settings.generator.upsample) == (64, "transposed")
    assert (config.settings.discriminator.layers, config.settings.discriminator.filters) == (3, 64)


def test_preset_paper_changes_only_what_is_not_the_papers_already():
    config = apply_preset(TrainConfig(settings=CycleGANConfig()), "paper")
    plain = TrainConfig(settings=CycleGANConfig(), precision="fp32", epochs=200, preset="paper")
    assert config == plain


@pytest.mark.parametrize(
    ("name", "method"),
    [(name, method) for name, p in PRESETS.items() for method in p.settings or ["cyclegan"]],
)
def test_every_preset_applies_and_survives_yaml(name, method, tmp_path):
    config = apply_preset(TrainConfig(settings=METHODS[method].Config(), method=method), name)
    write_yaml(config, tmp_path / "config.yaml")
    assert read_yaml(tmp_path / "config.yaml") == config
    assert config.preset == name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 0}, "--batch is 0"),
        ({"batch": -4}, "--batch is -4"),
        ({"size": -64}, "--size is -64"),
        ({"steps": 0}, "--steps is 0"),
        ({"minutes": float("nan"), "steps": None}, "--minutes"),
        ({"minutes": 1.0}, "--steps and --minutes"),
        ({"ema": 1.0}, "--ema is 1.0"),
        ({"cache": 2.0}, "--cache is 2.0"),
        ({"seed": -1}, "--seed is -1"),
        ({"seed": 2**63}, "--seed is 9223372036854775808"),
        ({"clip": float("nan")}, "--clip is nan"),
        ({"checkpoint_every": 0}, "--checkpoint-every is 0"),
    ],
)
def test_a_value_out_of_range_is_named(change, message, tmp_path):
    with pytest.raises(UserError, match=message):
        tiny_config(tmp_path, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bogus": 1}, 'unknown key "bogus"'),
        ({"method": "cyclegam"}, 'unknown method "cyclegam"'),
        ({"batch": "many"}, "batch"),
        ({"optimizer": {"momentum": 1}}, 'optimizer: unknown key "momentum"'),
        ({"settings": {"loss": {"cycle": "ten"}}}, r"settings: loss: cycle"),
        ({"settings": 3}, "expected keys and values"),
    ],
)
def test_a_wrong_key_in_yaml_is_named_with_its_file(change, message, tmp_path):
    tree = {**to_dict(tiny_config(tmp_path)), **change}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(UserError, match=message) as error:
        read_yaml(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"a: [1", b"\xff\xfe\x00", b"- 1\n- 2\n", b""])
def test_a_file_that_is_no_configuration_is_refused(content, tmp_path):
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(UserError):
        read_yaml(tmp_path / "config.yaml")


def test_yaml_can_not_run_code(tmp_path):
    canary = tmp_path / "canary"
    path = tmp_path / "config.yaml"
    path.write_text(f"seed: !!python/object/apply:os.system ['touch {canary}']\n")
    with pytest.raises(UserError):
        read_yaml(path)
    assert not canary.exists()


def test_changes_and_differences_are_each_others_inverse(tmp_path):
    config = tiny_config(tmp_path)
    changed = with_changes(config, {"batch": 3, "settings.loss.cycle": 2.0, "optimizer.lr": 1e-4})
    assert set(differences(config, changed)) == {"batch", "settings.loss.cycle", "optimizer.lr"}
    assert differences(config, dataclasses.replace(config)) == []


def test_settings_of_an_older_file_without_newer_keys_take_the_defaults(tmp_path):
    tree = to_dict(tiny_config(tmp_path))
    del tree["accumulate"], tree["settings"]["loss"]
    config = from_dict(tree)
    assert config.accumulate == 1
    assert config.settings.loss == CycleLoss()
