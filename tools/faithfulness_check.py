"""How well the faithfulness maps find what is wrong, where that is known.

python tools/faithfulness_check.py RUN [RUN ...] [--limit 200] [--json FILE]

Two questions per run and direction, on test pictures with hidden true pairs:

Do they predict the error? Spearman's rank correlation of a map with the translation's true error
|G(x) - y|, and with the structure that truly differs (the structure change from y to G(x)), per
pixel (mean over pictures of each picture's own) and per picture (of the pictures' means). The
translation's local contrast is ranked beside them, and its structure change from another picture's
input: a map that doesn't beat these says nothing of its own input.

Do they find an invention? A disc that was not in the input is put into each translation, at a
place and in a colour drawn by lot; the share of pictures whose worst place holds its centre. Chance
is the share of the picture that a box covers.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from unpaired.evaluation.faithfulness import (
    Maps,
    cycle_error_map,
    faithfulness,
    structure_change_map,
)
from unpaired.evaluation.views import open_views
from unpaired.training.checkpoint import read_images
from unpaired.training.config import read_yaml
from unpaired.training.finding import find_checkpoint
from unpaired.training.shares import data_of
from unpaired.translation.translator import Translator

DISC = 10  # its diameter in pixels
CONTRASTS = (15, 30, 60)  # its mean difference in grey levels from what it covers
BATCH = 16


def translate(translator: Translator, pictures: np.ndarray, direction: str) -> np.ndarray:
    batches = (pictures[i : i + BATCH] for i in range(0, len(pictures), BATCH))
    return np.stack([made for batch in batches for made in translator(list(batch), direction)])


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Ties, which real maps hardly have, are ranked as they come."""
    first, second = (np.argsort(np.argsort(v.ravel())) for v in (a, b))
    return float(np.corrcoef(first, second)[0, 1])


def local_contrast(pictures: np.ndarray) -> Maps:
    """(N, H, W): how far each pixel is from its smoothed surroundings, smoothed again."""
    zero = np.zeros_like(pictures)
    surroundings = np.stack(
        [cycle_error_map(pictures[..., c : c + 1], zero[..., c : c + 1]) for c in range(3)], axis=-1
    )
    return cycle_error_map(pictures, np.rint(surroundings).astype(pictures.dtype))


def ranks(maps: dict[str, Maps], truths: dict[str, Maps]) -> dict[str, dict[str, list[float]]]:
    """map -> truth -> [per pixel, per picture, and the latter's 95% bootstrap interval]."""
    rng = np.random.default_rng([0, 1])
    found: dict[str, dict[str, list[float]]] = {}
    for name, own in maps.items():
        for truth, true in truths.items():
            pixels = np.nanmean([spearman(a, b) for a, b in zip(own, true)])
            a, b = own.mean(axis=(1, 2)), true.mean(axis=(1, 2))
            drawn = (rng.integers(0, len(a), len(a)) for _ in range(400))
            spread = np.quantile([spearman(a[i], b[i]) for i in drawn], (0.025, 0.975))
            found.setdefault(name, {})[truth] = [float(pixels), spearman(a, b), *map(float, spread)]
    return found


def with_discs(pictures: np.ndarray, contrast: float) -> tuple[np.ndarray, np.ndarray]:
    """(pictures with a disc each, its centres (N, 2))."""
    rng = np.random.default_rng([0, int(contrast)])
    count, height, width, channels = pictures.shape
    centres = rng.integers(DISC, (height - DISC, width - DISC), (count, 2))
    down, right = np.mgrid[:height, :width]
    made = pictures.astype(np.float64)
    for picture, (y, x) in zip(made, centres):
        inside = (down - y) ** 2 + (right - x) ** 2 < (DISC / 2) ** 2
        step = rng.normal(size=channels)
        step *= contrast / np.abs(step).mean()
        before = picture[inside].mean(axis=0)
        step[(before + step < 0) | (before + step > 255)] *= -1
        picture[inside] += step
    return np.clip(np.rint(made), 0, 255).astype(np.uint8), centres


def found_share(boxes: tuple[tuple[int, int, int, int], ...], centres: np.ndarray) -> float:
    hits = [t <= y < b and left <= x < r for (t, left, b, r), (y, x) in zip(boxes, centres)]
    return float(np.mean(hits))


def check(run: Path, limit: int) -> dict[str, Any]:
    """Both answers of a run by direction."""
    translator = Translator.load(find_checkpoint(run, "latest"))
    card, config = translator.card, read_yaml(run / "config.yaml")
    data = data_of(config, card.channels_x, card.channels_y)
    views = open_views(data, read_images(card), card.size, limit)
    if not views.paired:
        raise SystemExit(f"{run} has no true pairs to compare with")
    answers = {}
    for direction in translator.directions:
        source, target = direction.split("2")
        inputs, truth = views.test[source], views.test[target]
        made = translate(translator, inputs, direction)
        back = f"{target}2{source}"
        both_ways = back in translator.directions
        returned = translate(translator, made, back) if both_ways else None
        faith = faithfulness(inputs, made, returned)
        maps = {
            "structure change": faith.structure_map,
            "another's input": structure_change_map(np.roll(inputs, 1, axis=0), made),
            "local contrast": local_contrast(made),
        }
        if faith.cycle_map is not None:
            maps["cycle error"] = faith.cycle_map
        truths = {
            "error": cycle_error_map(truth, made),
            "structure": structure_change_map(truth, made),
        }
        discs = {}
        for contrast in CONTRASTS:
            planted, centres = with_discs(made, contrast)
            found = {"structure change": faithfulness(inputs, planted, None)}
            if both_ways:
                again = translate(translator, planted, back)
                found["both maps"] = faithfulness(inputs, planted, again)
            discs[contrast] = {k: found_share(v.boxes, centres) for k, v in found.items()}
        top, left, bottom, right = faith.boxes[0]
        answers[direction] = {
            "pictures": len(inputs),
            "mean change": float(faith.structure_map.mean()),
            "mean change of true pairs": float(structure_change_map(inputs, truth).mean()),
            "ranks": ranks(maps, truths),
            "chance": (bottom - top) * (right - left) / inputs[0, ..., 0].size,
            "discs found": discs,
        }
    return answers


def show(title: str, answer: dict[str, Any]) -> None:
    """A paragraph of text."""
    print(f"\n{title}, {answer['pictures']} pictures")
    own, true = answer["mean change"], answer["mean change of true pairs"]
    print(f"  mean structure change {own:.3f}, from inputs to their true pairs {true:.3f}")
    for name, by_truth in answer["ranks"].items():
        for truth, (pixel, picture, low, high) in by_truth.items():
            print(f"  {name:16} ~ true {truth:9}  per pixel {pixel:+.2f}", end="")
            print(f"  per picture {picture:+.2f} ({low:+.2f} to {high:+.2f})")
    for contrast, shares in answer["discs found"].items():
        line = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
        print(f"  disc of {contrast} grey levels found: {line}; chance {answer['chance']:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {run.name: check(run, options.limit) for run in options.runs}
    for run, answers in results.items():
        for direction, answer in answers.items():
            show(f"{run} {direction}", answer)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
