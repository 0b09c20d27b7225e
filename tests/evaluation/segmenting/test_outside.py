"""Segmenters from elsewhere: functions, and networks in the format of Hugging Face."""

import sys

import numpy as np
import pytest
import torch

from tests.evaluation.segmenting.pairs import PHOTO_COLOURS, THREE, make_pairs
from unpaired.errors import UserError
from unpaired.evaluation.segmenting.ceiling import ceiling
from unpaired.evaluation.segmenting.classes import IGNORED
from unpaired.evaluation.segmenting.labelled import Labelled
from unpaired.evaluation.segmenting.outside import CallableSegmenter, HuggingFaceSegmenter
from unpaired.evaluation.segmenting.segmenter import load_segmenter


def by_colour(image: np.ndarray) -> np.ndarray:
    return np.linalg.norm(image[:, :, None] - PHOTO_COLOURS, axis=3).argmin(2)


def test_a_function_reads_pictures_one_by_one():
    photos, maps = make_pairs(3, 0)
    segmenter = CallableSegmenter(by_colour, THREE)
    assert segmenter.name == "by_colour"
    read = segmenter(photos)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, maps)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda image: image, "one class per pixel"),
        (lambda image: image[:, :, 0] / 255, "float64"),
        (lambda image: image[:, :, 0].astype(int) * 0 - 1, "from -1 to -1"),
        (lambda image: image[:, :, 0].astype(int) * 0 + 300, "from 300 to 300"),
    ],
)
def test_a_function_that_names_no_classes_is_refused(function, said):
    with pytest.raises(UserError, match=said):
        CallableSegmenter(function, THREE)(make_pairs(1, 0)[0])


def test_who_reads_without_fault_has_a_ceiling_of_one_and_who_reads_one_class_has_not():
    pairs = Labelled(*make_pairs(6, 0))
    perfect = ceiling(CallableSegmenter(by_colour, THREE), pairs)
    lazy = ceiling(
        CallableSegmenter(lambda image: np.zeros(image.shape[:2], int), THREE, "sea"), pairs
    )
    assert perfect["pictures"] == 6
    assert {one["value"] for one in perfect["scores"].values()} == {1.0}
    share = (pairs.maps == 0).mean()
    assert lazy["scores"]["pixel_accuracy"]["value"] == pytest.approx(share)
    assert lazy["scores"]["class_accuracy"]["value"] == pytest.approx(1 / 3)
    assert lazy["scores"]["class_iou"]["value"] == pytest.approx(share / 3)


def test_without_transformers_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"pip install unpaired\[segformer\]"):
        HuggingFaceSegmenter("some/network", THREE)


def test_a_network_of_the_hub_needs_to_be_told_the_classes():
    with pytest.raises(UserError, match="--classes"):
        load_segmenter("hf:some/network")


@pytest.fixture
def segformer(tmp_path):
    """A tiny SegFormer of random weights in a folder; its labels in another order, one foreign."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    labels = {0: "Sand", 1: "moon", 2: "SEA", 3: "wood"}
    config = transformers.SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[2, 1],
        hidden_sizes=[8, 16],
        patch_sizes=[7, 3],
        strides=[4, 2],
        num_attention_heads=[1, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=8,
        id2label=labels,
        label2id={name: index for index, name in labels.items()},
    )
    network = transformers.SegformerForSemanticSegmentation(config)
    network.decode_head.classifier.weight.data *= 30  # or one class would win everywhere
    network.save_pretrained(tmp_path / "net")
    return tmp_path / "net", network.eval()


def test_a_segformers_labels_become_ours_by_name(segformer):
    folder, network = segformer
    segmenter = load_segmenter(f"hf:{folder}", THREE, "cpu")
    assert segmenter.name == f"hf:{folder}"
    photos = np.random.default_rng(0).integers(0, 256, (3, 32, 48, 3), dtype=np.uint8)
    read = segmenter(photos)
    assert (read.shape, read.dtype) == ((3, 32, 48), np.uint8)
    scaled = (photos / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    x = torch.from_numpy(scaled).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        scores = network(pixel_values=x).logits
    theirs = torch.nn.functional.interpolate(scores, (32, 48), mode="bilinear").argmax(1).numpy()
    assert len(np.unique(theirs)) >= 3
    ours = np.array([2, IGNORED, 0, 1])[theirs]
    assert (read == ours).mean() > 0.999


def test_a_network_that_knows_none_of_our_classes_or_is_none_is_refused(segformer, tmp_path):
    folder, _ = segformer
    other = type(THREE)("other", ("left", "right"), ((0, 0, 0), (9, 9, 9)))
    with pytest.raises(UserError, match="none of the classes other"):
        HuggingFaceSegmenter(str(folder), other)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UserError, match="can't be loaded") as error:
        HuggingFaceSegmenter(str(tmp_path / "nothing"), THREE)
    assert "\n" not in str(error.value)
