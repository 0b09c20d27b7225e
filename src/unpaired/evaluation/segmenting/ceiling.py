"""Train a segmenter on the real training pairs, and measure it on the real test pairs."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from unpaired.data.fingerprint import fingerprint
from unpaired.errors import UserError
from unpaired.evaluation.segmenting.classes import Classes, read_classes
from unpaired.evaluation.segmenting.labelled import Labelled, Side, Size, open_pairs, read_labelled
from unpaired.evaluation.segmenting.scores import segmentation_estimates
from unpaired.evaluation.segmenting.segmenter import Segmenter
from unpaired.evaluation.segmenting.trained import TrainedSegmenter, check_free
from unpaired.evaluation.segmenting.training import Progress, train_segmenter


def make_segmenter(
    data: str,
    out: Path,
    classes: Classes,
    *,
    labels: Side | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    size: Size | None = None,
    rotate: bool | None = None,
    width: int = 32,
    seed: int = 0,
    device: str = "auto",
    on_progress: Progress | None = None,
) -> TrainedSegmenter:
    """Read the pairs, train, measure the ceiling, save to `out`.

    Args:
        rotate: None: only for worldtiles, whose pictures have no upper side.
        others: as in `read_labelled` and `train_segmenter`.
    Raises: UserError if data, classes, numbers or `out` are wrong; before any training.
    """
    check_free(out)
    key = fingerprint(open_pairs(data))
    train, test = read_labelled(data, classes, labels, size)
    segmenter = train_segmenter(
        train.photos,
        train.maps,
        classes,
        steps=steps,
        minutes=minutes,
        seed=seed,
        width=width,
        rotate=data.startswith("worldtiles:") if rotate is None else rotate,
        data=Path(data).resolve().name if Path(data).exists() else data,
        device=device,
        on_progress=on_progress,
    )
    segmenter.card = replace(segmenter.card, data_key=key, ceiling=ceiling(segmenter, test))
    segmenter.save(out)
    return segmenter


def ceiling(segmenter: Segmenter, test: Labelled, seed: int = 0) -> dict[str, Any]:
    """How well a segmenter reads real photos, which no generated photo is expected to exceed.

    Args: seed: of the bootstrap.
    Returns: "pictures", and "scores": by metric, value, low, high and error.
    """
    found = segmentation_estimates(
        test.maps, segmenter(test.photos), len(segmenter.classes.names), seed
    )
    scores = {key: asdict(one) if one else None for key, one in found.items()}
    return {"pictures": len(test), "scores": scores}


def classes_of_data(data: str, classes: str | None) -> Classes:
    """The classes that were named, or those that a named set has.

    Raises: UserError if neither is there.
    """
    if classes is None:
        if data == "cityscapes":
            return read_classes("cityscapes")
        if not data.startswith("worldtiles:"):
            raise UserError(
                f'say what the label images of "{data}" mean: --classes cityscapes, camvid, '
                "worldtiles, or a JSON file"
            )
        classes = "worldtiles"
    return read_classes(classes)
