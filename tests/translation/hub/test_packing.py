"""The published folder and its model card."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from tests.methods.tiny import SIZE, TINY, tiny_method
from tests.training.runs import resealed
from unpaired.methods import METHODS
from unpaired.training.card import Card
from unpaired.training.checkpoint import TENSOR_FILES, State, load_method, save_checkpoint
from unpaired.training.finding import find_checkpoint
from unpaired.translation.hub.carding import plain
from unpaired.translation.hub.names import HubName
from unpaired.translation.hub.packing import Publishing, bare, pack
from unpaired.translation.translator import Translator

NAME = HubName("ann/a")


def card_of(run: Path, out: Path, **what) -> str:
    pack(run, out, NAME, Publishing(**what))
    return (out / "README.md").read_text(encoding="utf-8")


def front_of(text: str) -> dict:
    return yaml.safe_load(text.split("---")[1])


@pytest.mark.parametrize("name", METHODS)
def test_of_every_method_what_is_published_translates_as_the_checkpoint_does(name, tmp_path):
    method = tiny_method(name)
    tree = {"settings": TINY[name], "channels_x": 3, "channels_y": 3, "size": SIZE}
    tree |= {"method": name, "dtype_x": "uint8", "dtype_y": "uint8", "images": {}, "data": "a/b"}
    card = Card(**tree, directions=method.directions, multiple=method.multiple, precision="fp32",
                step=3, epoch=0.5)  # fmt: skip
    tensors = {file: {} for file in TENSOR_FILES} | {"weights": method.state_dict()}
    tensors["ema"] = {
        f"{part}.{key}": value * 1.1 if value.is_floating_point() else value
        for part, network in method.translators().items()
        for key, value in network.state_dict().items()
    }
    save_checkpoint(tmp_path / "run", card, State(tensors, {}))
    pack(tmp_path / "run", tmp_path / "out", NAME, Publishing())
    before, _ = load_method(find_checkpoint(tmp_path / "run"))
    after, published = load_method(tmp_path / "out")
    assert published == replace(card, data="b")
    x = torch.rand(1, 3, SIZE, SIZE) * 2 - 1
    for way in method.directions:
        torch.manual_seed(0)
        expected = before.translate(x, way)
        torch.manual_seed(0)
        assert torch.equal(after.translate(x, way), expected)
    sizes = [
        (folder / "weights.safetensors").stat().st_size
        for folder in (tmp_path / "out", find_checkpoint(tmp_path / "run"))
    ]
    assert sizes[0] < sizes[1]


def test_the_card_says_for_the_hub_what_it_is(trained, tmp_path):
    text = card_of(trained, tmp_path / "out", license="cc-by-4.0")
    front = front_of(text)
    assert front["library_name"] == "unpaired"
    assert front["pipeline_tag"] == "image-to-image"
    assert front["license"] == "cc-by-4.0"
    assert {"unpaired", "cyclegan", "image-to-image"} <= set(front["tags"])
    assert "datasets" not in front
    for words in (
        "![Sample pictures: x, G(x), F(G(x)), y, F(y), G(F(y))](samples.png)",
        'Translator.from_pretrained("ann/a")',
        "unpaired translate ann/a photo.jpg",
        "| X | trainA |",
        "steps | 4 of 1 picture of each kind",
        "Nobody has measured this checkpoint",
        "Don't read facts off",
        "The weights: cc-by-4.0.",
    ):
        assert words in text, words
    assert "\n\n\n" not in text
    assert front_of(card_of(trained, tmp_path / "b"))["license"] == "unknown"
    assert "named no licence" in (tmp_path / "b" / "README.md").read_text()


def figures(run: Path, step: int, **more) -> None:
    """A numbers.json as `unpaired evaluate` writes it."""
    kid = {"value": 0.0123, "low": 0.0101, "high": 0.0149, "error": 0.001}
    scores = {"input": {"kid": {**kid, "value": 0.5}}, "run": {"kid": kid, "l1": None}}
    side = {"pictures": 40, "scores": scores, "findings": ["Stripes <b>everywhere</b>"]}
    numbers = {
        "steps": {"run": step},
        "held_out": True,
        "figures": {"kid": {"title": "KID-Net", "better": "lower", "digits": 3}},
        "rows": {"input": "the input, untranslated", "run": "this run"},
        "questions": {"Does it look real?": ["kid", "fid"], "Is it right?": ["l1"]},
        "directions": {"x2y": side},
    }
    (run / "numbers.json").write_text(json.dumps({**numbers, **more}))


def test_numbers_are_quoted_with_their_intervals(run_folder, tmp_path):
    figures(run_folder, 4)
    text = card_of(run_folder, tmp_path / "out")
    assert "**X to Y**, 40 pictures:" in text
    assert "Is it right?" not in text
    table = text[text.index("| Does it look real? | KID-Net (lower is better) |") :].splitlines()[
        :4
    ]
    assert table[1:] == [
        "|---|---|",
        "| the input, untranslated | 0.500 (0.010 to 0.015) |",
        "| **this model** | 0.012 (0.010 to 0.015) |",
    ]
    assert "- Stripes \\<b\\>everywhere\\</b\\>" in text
    assert "training never saw" in text


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"steps": {"run": 4}, "directions": [1]}'])
def test_numbers_that_are_not_ours_are_not_quoted(run_folder, tmp_path, content):
    (run_folder / "numbers.json").write_text(content)
    assert "Nobody has measured" in card_of(run_folder, tmp_path / "out")


def test_numbers_of_another_step_are_not_quoted_and_those_of_training_pictures_say_so(
    run_folder, tmp_path
):
    figures(run_folder, 3)
    assert "Nobody has measured" in card_of(run_folder, tmp_path / "a")
    figures(run_folder, 4, held_out=False)
    assert "On pictures that it was trained on" in card_of(run_folder, tmp_path / "b")


def test_what_evaluate_writes_is_what_the_card_reads(run_folder, tmp_path):
    from tests.evaluation.corners import Corners
    from unpaired.evaluation.instruments import Instruments
    from unpaired.evaluation.judging import judge, save

    save(judge(run_folder, Instruments(Corners())))
    text = card_of(run_folder, tmp_path / "out")
    assert "| **this model** |" in text
    assert "Y to X" in text


def test_words_of_the_user_format_nothing(run_folder, tmp_path):
    checkpoint = find_checkpoint(run_folder) / "checkpoint.json"
    card = json.loads(checkpoint.read_text())
    checkpoint.write_text(resealed({**card, "preset": "<img src=x>\n# [a](http://b)|`c`"}))
    text = card_of(run_folder, tmp_path / "out")
    assert r"preset \<img src=x\> \# \[a\](http://b)\|\`c\`" in text
    assert plain("a*b_c") == r"a\*b\_c"


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("/home/ann/photos/summer/", "summer"),
        (r"C:\Users\ann\winter", "winter"),
        ("s3://bucket/of/ann/shards.tar", "shards.tar"),
        ("hf://ann/set", "hf://ann/set"),
        ("worldtiles:map-aerial", "worldtiles:map-aerial"),
        ("/", "data"),
    ],
)
def test_of_places_the_last_part_is_told(place, name):
    assert bare(place) == name


def test_data_sets_of_the_hub_are_named_to_it(run_folder, tmp_path):
    path = run_folder / "config.yaml"
    config = {**yaml.safe_load(path.read_text()), "x": "hf://ann/horses", "y": "hf://ann/zebras"}
    path.write_text(yaml.safe_dump(config))
    front = front_of(card_of(run_folder, tmp_path / "out"))
    assert front["datasets"] == ["ann/horses", "ann/zebras"]


def test_what_is_published_translates_in_memory_too(trained, tmp_path):
    pack(trained, tmp_path / "out", NAME, Publishing())
    pixels = np.full((20, 20, 3), 90, np.uint8)
    ours, theirs = (Translator.load(p, precision="fp32") for p in (trained, tmp_path / "out"))
    assert (ours(pixels) == theirs(pixels)).all()


def test_of_a_full_checkpoint_only_what_its_card_lists_is_published(run_folder, tmp_path):
    checkpoint = find_checkpoint(run_folder)
    (checkpoint / "key.json").symlink_to("/etc/hostname")
    pack(run_folder, tmp_path / "out", HubName("ann/a"), Publishing(full=True))
    assert (tmp_path / "out" / "state.json").is_file()
    assert not (tmp_path / "out" / "key.json").exists()
