import numpy as np
import pytest
from cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling import (
    args,
    evaluatePair,
    generateMatrix,
    getIouScoreForLabel,
    getMatrixFieldValue,
    getScoreAverage,
)
from cityscapesscripts.helpers.labels import id2label, trainId2label
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from unpaired.evaluation.segmenting.classes import IGNORED
from unpaired.evaluation.segmenting.scores import (
    KEYS,
    confusion,
    scores,
    segmentation_estimates,
    segmentation_per_picture,
)

COUNT = 19
IDS = np.array([trainId2label[train].id for train in range(COUNT)])
VOID = [label for label, known in id2label.items() if known.ignoreInEval and label >= 0]


def benchmark_ids(maps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Class maps as Cityscapes label ids; what is no class becomes one of its many void ids."""
    void = rng.choice(VOID, size=maps.shape)
    return np.where(maps < COUNT, IDS[np.minimum(maps, COUNT - 1)], void).astype(np.uint8)


def benchmark_scores(truth: np.ndarray, predicted: np.ndarray, folder, seed: int) -> dict:
    """What cityscapesScripts itself makes of the maps, from files, over the whole set."""
    rng = np.random.default_rng([seed, 1])
    args.evalInstLevelScore, args.normalized = False, True
    matrix = generateMatrix(args)
    for true, taken in zip(benchmark_ids(truth, rng), benchmark_ids(predicted, rng)):
        files = [str(folder / name) for name in ("predicted.png", "truth.png")]
        for pixels, file in zip((taken, true), files):
            Image.fromarray(pixels).save(file)
        evaluatePair(*files, matrix, {}, {}, args)
    ious = {label: getIouScoreForLabel(label, matrix, args) for label in IDS.tolist()}
    right = {label: getMatrixFieldValue(matrix, label, label, args) for label in IDS.tolist()}
    return {
        "pixel_accuracy": float(matrix[IDS, IDS].sum() / matrix[IDS].sum()),
        "class_accuracy": getScoreAverage(right, args),
        "class_iou": getScoreAverage(ious, args),
    }


def random_maps(seed: int, kinds: list[int], void: float) -> tuple[np.ndarray, np.ndarray]:
    """Truth (6, 12, 20) of some kinds of pixels and partly none; a prediction half right."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(kinds, size=(6, 12, 20)).astype(np.uint8)
    other = rng.choice(kinds, size=truth.shape).astype(np.uint8)
    predicted = np.where(rng.random(truth.shape) < 0.5, truth, other)
    truth[rng.random(truth.shape) < void] = IGNORED
    predicted[rng.random(truth.shape) < void] = IGNORED
    return truth, predicted


CASES = {
    "all classes": (list(range(COUNT)), 0.0),
    "with pixels that are no class": (list(range(COUNT)), 0.2),
    "most classes absent": ([0, 4, 18], 0.1),
    "one class": ([7], 0.3),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("kinds", "void"), CASES.values(), ids=CASES.keys())
def test_scores_equal_those_of_cityscapes_scripts(kinds, void, seed, tmp_path):
    truth, predicted = random_maps(seed, kinds, void)
    ours = scores(confusion(truth, predicted, COUNT).sum(0))
    theirs = benchmark_scores(truth, predicted, tmp_path, seed)
    assert ours == pytest.approx(theirs, rel=1e-12)


def test_a_class_only_predicted_counts_as_in_cityscapes_scripts(tmp_path):
    truth, predicted = random_maps(0, [0, 1], 0.2)
    where_true, where_void = (np.argwhere(truth == kind)[0] for kind in (0, IGNORED))
    for place, more in ((where_void, 0), (where_true, 1)):  # only on a true class it is an alarm
        predicted[tuple(place)] = 5
        ours = scores(confusion(truth, predicted, COUNT).sum(0))
        theirs = benchmark_scores(truth, predicted, tmp_path, 0)
        assert ours == pytest.approx(theirs, rel=1e-12)
        present = np.mean([one_iou(truth, predicted, kind) for kind in (0, 1)])
        assert ours["class_iou"] == pytest.approx(present * 2 / (2 + more))


def one_iou(truth: np.ndarray, predicted: np.ndarray, kind: int) -> float:
    counts = truth != IGNORED
    both = ((truth == kind) & (predicted == kind)).sum()
    either = (((truth == kind) | (predicted == kind)) & counts).sum()
    return both / either


def test_a_known_confusion():
    truth = np.array([[[0, 0, 0, 1], [1, IGNORED, 2, 2]]], np.uint8)
    predicted = np.array([[[0, 0, 1, 1], [0, 1, IGNORED, 2]]], np.uint8)
    matrix = confusion(truth, predicted, 4)
    np.testing.assert_array_equal(
        matrix[0], [[2, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]]
    )
    found = scores(matrix[0])
    assert found["pixel_accuracy"] == pytest.approx(4 / 7)
    assert found["class_accuracy"] == pytest.approx((2 / 3 + 1 / 2 + 1 / 2) / 3)
    assert found["class_iou"] == pytest.approx((2 / 4 + 1 / 3 + 1 / 2) / 3)


def test_figures_of_the_set_are_not_the_mean_over_pictures():
    truth = np.zeros((2, 2, 2), np.uint8)
    truth[1] = [[0, 1], [IGNORED, IGNORED]]
    predicted = np.zeros_like(truth)
    found = scores(confusion(truth, predicted, 2).sum(0))
    each = segmentation_per_picture(truth, predicted, 2)
    np.testing.assert_allclose(each["pixel_accuracy"], [1, 1 / 2])
    np.testing.assert_allclose(each["class_iou"], [1, 1 / 4])
    assert found["pixel_accuracy"] == pytest.approx(5 / 6)
    assert found["class_iou"] == pytest.approx((5 / 6 + 0) / 2)


def test_a_picture_without_a_class_has_no_figure_and_spoils_no_other():
    truth, predicted = random_maps(1, [0, 1, 2], 0.0)
    truth[2] = IGNORED
    each = segmentation_per_picture(truth, predicted, 3)
    for key in KEYS:
        np.testing.assert_array_equal(np.isnan(each[key]), np.arange(6) == 2)
    found = segmentation_estimates(truth, predicted, 3)
    others = [i for i in range(6) if i != 2]
    alone = segmentation_estimates(truth[others], predicted[others], 3)
    for key in KEYS:
        assert found[key].value == alone[key].value
        assert found[key].low < found[key].value < found[key].high


def test_a_set_without_any_class_has_no_figures():
    nothing = np.full((3, 4, 4), IGNORED, np.uint8)
    assert segmentation_estimates(nothing, nothing, 5) == dict.fromkeys(KEYS)


@pytest.mark.parametrize("wrong", [(3, 4, 5), (2, 4, 4)], ids=["size", "count"])
def test_maps_of_two_sizes_are_refused(wrong):
    with pytest.raises(ValueError, match="of one size"):
        confusion(np.zeros((3, 4, 4), np.uint8), np.zeros(wrong, np.uint8), 2)


def test_no_maps_at_all_are_refused():
    none = np.zeros((0, 4, 4), np.uint8)
    with pytest.raises(ValueError, match="no class maps"):
        segmentation_estimates(none, none, 2)


def test_resampled_figures_are_those_of_the_drawn_pictures(monkeypatch):
    truth, predicted = random_maps(2, [0, 1, 2, 3], 0.1)
    drawn = np.array([0, 0, 3, 5, 5, 5])
    weights = np.bincount(drawn, minlength=6)[None].astype(float).repeat(2, 0)
    monkeypatch.setattr("unpaired.evaluation.segmenting.scores.draws", lambda count, seed: weights)
    found = segmentation_estimates(truth, predicted, 4)
    expected = scores(confusion(truth[drawn], predicted[drawn], 4).sum(0))
    for key in KEYS:
        assert found[key].low == pytest.approx(expected[key], rel=1e-12)
        assert found[key].high == pytest.approx(expected[key], rel=1e-12)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = []
    for i in range(100):
        truth = rng.integers(0, 3, (60, 4, 4), dtype=np.uint8)
        skill = rng.choice([0.4, 0.9], size=(60, 1, 1))  # pictures differ more than pixels
        wrong = (truth + rng.integers(1, 3, truth.shape)) % 3
        predicted = np.where(rng.random(truth.shape) < skill, truth, wrong).astype(np.uint8)
        one = segmentation_estimates(truth, predicted, 3, seed=i)["pixel_accuracy"]
        held.append(one.low <= 0.65 <= one.high)
    assert 0.88 <= np.mean(held) <= 1


def test_a_seed_gives_the_same_intervals_and_another_seed_others():
    truth, predicted = random_maps(3, [0, 1, 2], 0.1)
    first = segmentation_estimates(truth, predicted, 3, seed=4)
    assert segmentation_estimates(truth, predicted, 3, seed=4) == first
    assert segmentation_estimates(truth, predicted, 3, seed=5) != first


@st.composite
def two_maps(draw) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)))
    kind = st.sampled_from([0, 1, 2, 3, IGNORED])
    truth, predicted = (draw(arrays(np.uint8, shape, elements=kind)) for _ in range(2))
    return truth, predicted


@given(two_maps())
def test_every_pixel_with_a_true_class_is_counted_once(maps):
    truth, predicted = maps
    matrix = confusion(truth, predicted, 4)
    for one, true, taken in zip(matrix, truth, predicted):
        np.testing.assert_array_equal(one.sum(1), [(true == kind).sum() for kind in range(4)])
        hits = [((true == kind) & (taken == kind)).sum() for kind in range(4)]
        np.testing.assert_array_equal(np.diagonal(one), hits)
        assert one[:, 4].sum() == ((true < 4) & (taken == IGNORED)).sum()


@given(two_maps())
def test_figures_lie_between_nothing_and_all_and_the_truth_itself_has_all(maps):
    truth, predicted = maps
    found = scores(confusion(truth, predicted, 4).sum(0))
    itself = scores(confusion(truth, truth, 4).sum(0))
    for key in KEYS:
        if (truth < 4).any():
            assert 0 <= found[key] <= 1
            assert itself[key] == 1
        else:
            assert np.isnan(found[key])


@given(two_maps(), st.permutations(range(4)))
@settings(max_examples=50)
def test_the_order_of_the_classes_does_not_matter(maps, order):
    table = np.full(256, IGNORED, np.uint8)
    table[:4] = order
    before, after = (
        scores(confusion(truth, predicted, 4).sum(0))
        for truth, predicted in (maps, (table[maps[0]], table[maps[1]]))
    )
    for key in KEYS:
        np.testing.assert_allclose(before[key], after[key], rtol=1e-12)


@given(two_maps())
def test_mending_a_pixel_lowers_no_accuracy(maps):
    truth, predicted = maps
    wrong = np.argwhere((truth != predicted) & (truth < 4))
    better = predicted.copy()
    for place in wrong[:1]:
        better[tuple(place)] = truth[tuple(place)]
    before, after = (scores(confusion(truth, p, 4).sum(0)) for p in (predicted, better))
    for key in ("pixel_accuracy", "class_accuracy"):
        assert np.isnan(before[key]) or after[key] >= before[key] - 1e-12
