"""`unpaired stylize` from outside: what it paints, says, skips and refuses."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_wrong_use import everything_below, outside
from tests.training.runs import write_pictures
from unpaired.cli import run
from unpaired.cli.stylize import StylizeOptions
from unpaired.methods.gatys import GatysConfig

QUICK = "--features hed --steps 2 --device cpu"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A working folder with pictures to paint, a style and a folder of styles."""
    write_pictures(tmp_path / "photos" / "deep", 2, 0)
    write_pictures(tmp_path / "paintings", 2, 1, size=33)
    rgba = np.random.default_rng(2).integers(0, 256, (30, 17, 4), dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "clear.png")
    Image.fromarray(rgba[:, :, 0]).save(tmp_path / "grey.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_paints_each_picture_at_its_size_and_names_the_features(place):
    command = f"stylize photos clear.png grey.jpg --style paintings --out o --json j {QUICK}"
    result = outside(*command.split(), cwd=place)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "4 painted, 0 skipped (already there), 0 failed -> o\n"
    assert "features: VGG16-HED\n" in result.stderr
    assert result.stderr.endswith("4/4\n")
    assert everything_below(place / "o") == {
        "deep",
        "deep/00.png",
        "deep/01.png",
        "clear.png",
        "grey.png",
    }
    with Image.open(place / "o" / "clear.png") as made, Image.open(place / "clear.png") as source:
        assert (made.size, made.mode) == ((17, 30), "RGBA")
        np.testing.assert_array_equal(np.asarray(made)[:, :, 3], np.asarray(source)[:, :, 3])
        assert np.any(np.asarray(made)[:, :, :3] != np.asarray(source)[:, :, :3])
    with Image.open(place / "o" / "grey.png") as made:
        assert (made.size, made.mode) == ((17, 30), "RGB")
    said = json.loads((place / "j").read_text())
    assert said == {"painted": 4, "skipped": 0, "failed": [], "features": "VGG16-HED"}


def test_what_is_there_is_skipped_and_the_same_command_paints_the_same_picture(place, capsys):
    command = f"stylize clear.png --style grey.jpg --out o --start noise --seed 3 {QUICK}".split()
    assert run(command) == 0
    first = (place / "o" / "clear.png").read_bytes()
    assert run(command) == 0
    assert "0 painted, 1 skipped" in capsys.readouterr().out
    assert run([*command, "--overwrite"]) == 0
    assert (place / "o" / "clear.png").read_bytes() == first
    assert run([*command, "--overwrite", "--seed", "4"]) == 0
    assert (place / "o" / "clear.png").read_bytes() != first


def test_weights_and_size_change_the_picture_but_not_its_size(place):
    seen = set()
    options = ("", "--content-weight 30", "--style-weight 30", "--size 24", "--format tif")
    for number, option in enumerate(options):
        command = f"stylize clear.png --style grey.jpg --out o{number} {option} {QUICK}"
        assert run(command.split()) == 0
        (made,) = (place / f"o{number}").iterdir()
        with Image.open(made) as image:
            assert image.size == (17, 30)
            seen.add(np.asarray(image).tobytes())
    assert len(seen) == 4  # the tif holds the first one


def test_a_picture_that_fails_is_named_and_does_not_stop_the_rest(place, capsys):
    (place / "photos" / "bad.png").write_bytes(b"no picture")
    assert run(f"stylize photos --style grey.jpg --out o --json j {QUICK}".split()) == 1
    said = capsys.readouterr()
    assert "failed: photos/bad.png" in said.err
    assert "2 painted" in said.out
    assert json.loads((place / "j").read_text())["failed"][0]["path"] == "photos/bad.png"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "missing"),
        ("photos --out o", "missing --style"),
        ("--style grey.jpg --out o", "no pictures to paint"),
        ("nowhere --style grey.jpg --out o", 'no image or folder at "nowhere"'),
        ("photos --style nowhere --out o", "check --style"),
        ("photos --style text.png --out o", "can't take the style"),
        ("photos --style grey.jpg --out photos", "is an input folder"),
        ("photos --style grey.jpg --out o --steps 0", "--steps is 0"),
        ("photos --style grey.jpg --out o --size 3", "--size is 3"),
        ("photos --style grey.jpg --out o --style-weight -1", "--style-weight is -1"),
        ("photos --style grey.jpg --out o --features vgg19", "--features is vgg19"),
        ("photos --style grey.jpg --out o --device abacus", '--device is "abacus"'),
        ("photos --style grey.jpg --out o --json no/j", "in a folder that is not there"),
        ("photos --style grey.jpg --out o --stepps 3", "did you mean --steps"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_loaded(
    command, message, place, capsys, monkeypatch
):
    (place / "text.png").write_text("no picture")
    monkeypatch.setattr("unpaired.networks.vgg.load_vgg16", None)
    before = everything_below(place)
    assert run(["stylize", *command.split()]) == 2
    said = capsys.readouterr().err
    assert said.startswith("unpaired: error: ")
    assert said.count("\n") == 1
    assert message in said
    assert everything_below(place) == before


def test_the_commands_defaults_are_the_methods():
    shown = {field.name: field.default for field in dataclasses.fields(StylizeOptions)}
    config = GatysConfig()
    assert shown["content_weight"] == config.content
    assert shown["style_weight"] == config.style
    assert all(shown[name] == getattr(config, name) for name in ("steps", "start", "seed"))
