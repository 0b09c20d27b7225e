"""Photos whose label images are known: what a segmenter learns from and is measured on."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from unpaired.data.catalog import worldtiles_view
from unpaired.data.conversions import with_dtype
from unpaired.data.datasets import open_dataset
from unpaired.data.decode import Pixels, UnreadableImage
from unpaired.data.domains import DataSet, Domain
from unpaired.data.images import resize
from unpaired.data.order import spread
from unpaired.data.showing import as_rgb
from unpaired.errors import UserError
from unpaired.evaluation.segmenting.classes import Classes, Maps, Photos
from unpaired.evaluation.segmenting.labels import BLURRED_SHARE, FITTING, exact, foreign_colours

TRIED = 4  # pictures per side that tell which holds the label images
WHICH = "with --labels x or y which side has them"

Side = Literal["x", "y"]
Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class Labelled:
    """Pictures and their true classes."""

    photos: Photos
    """(N, H, W, 3)."""
    maps: Maps
    """(N, H, W)."""

    def __len__(self) -> int:
        return len(self.photos)


def read_labelled(
    data: str, classes: Classes, labels: Side | None = None, size: Size | None = None
) -> tuple[Labelled, Labelled]:
    """The real training pairs and the real test pairs of a data set.

    Of worldtiles, the places of both training splits: the photos of all of them are real, and a
    segmenter may see any pair that isn't a test pair.

    Args:
        data: as `open_dataset` takes it; photo and label image of equal names are a pair.
        labels: the side that holds the label images; None: the side with the classes' colours.
        size: what all are resized to, label images without mixing colours; None: as they are.
    Raises: UserError if there are no pairs, fewer than two of a split, sizes that differ or
        label images with unknown colours.
    """
    found = open_pairs(data)
    side = labels or side_of_labels(found, classes, remedy=f"{FITTING}, or say {WHICH}")
    sides = {"x": (found.train_x, found.test_x), "y": (found.train_y, found.test_y)}
    (train_labels, test_labels), (train, test) = sides[side], sides["y" if side == "x" else "x"]
    for split, domain in (("training", train), ("test", test)):
        if len(domain) < 2:
            raise UserError(
                f'"{data}" has {len(domain)} {split} pairs; a segmenter needs 2 or more'
            )
    learnt = _read(train, train_labels, classes, size)
    if data.startswith("worldtiles:") and not Path(data).exists():
        views = data.partition(":")[2].split("-")
        photo_view, label_view = views if side == "y" else views[::-1]
        photos, drawn = (worldtiles_view(view, "train_y") for view in (photo_view, label_view))
        names = [f"train_y {i}" for i in range(len(drawn))]
        rest = _prepared(photos, drawn, names, classes, size)
        learnt = Labelled(
            np.concatenate([learnt.photos, rest.photos]), np.concatenate([learnt.maps, rest.maps])
        )
    return learnt, _read(test, test_labels, classes, size)


def open_pairs(data: str) -> DataSet:
    """A data set as pairs of colour pictures.

    Raises: UserError as `open_dataset`.
    """
    return open_dataset(data, channels_x=3, channels_y=3, paired=True)


def parse_size(text: str) -> Size:
    """ "64" or "128x96" (width x height) as (height, width).

    Raises: UserError if it is neither.
    """
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise UserError(f"--size is {text}; give a side such as 64, or width x height: 128x96")
    width, height = int(parts[0]), int(parts[-1])
    return height, width


def side_of_labels(found: DataSet, classes: Classes, *, remedy: str = FITTING) -> Side:
    """The side whose training pictures hold the classes' colours and few others.

    Some of each are looked at, evenly spread; whether every label image is one, `exact` tells.

    Args: remedy: what the user can do if it is neither, or both.
    Raises: UserError that says what the pictures of both sides are like.
    """
    told: dict[Side, str] = {}
    fitting: list[Side] = []
    sides: dict[Side, Domain] = {"x": found.train_x, "y": found.train_y}
    for side, domain in sides.items():
        pictures = _some(domain)
        if not pictures:
            told[side] = "no picture can be read"
            continue
        share, colour = foreign_colours(pictures, classes)
        told[side] = f"{share:.0%} of the pixels have other colours"
        if colour is not None:
            told[side] += f", such as {list(colour)}"
        if share <= BLURRED_SHARE:
            fitting.append(side)
    if len(fitting) == 1:
        return fitting[0]
    which = "both sides have" if fitting else "neither side has"
    raise UserError(
        f'"{found.name}": {which} the colours of the classes {classes.name} (X: {told["x"]}; Y: '
        f"{told['y']}); {remedy}"
    )


def _some(domain: Domain) -> list[Photos]:
    """Readable pictures of a domain, evenly spread."""
    kept = []
    for i in spread(len(domain), TRIED):
        with contextlib.suppress(UnreadableImage):
            kept.append(as_rgb(domain.read(i)))
    return kept


def _read(photos: Domain, labels: Domain, classes: Classes, size: Size | None) -> Labelled:
    pairs: list[tuple[Pixels, Pixels]] = []
    for i, names in enumerate(zip(photos.names, labels.names)):
        try:
            photo = with_dtype(photos.read(i), "uint8")
            label = with_dtype(labels.read(i), "uint8")
        except UnreadableImage as error:
            raise UserError(f"{error}; mend or remove it") from None
        if photo.shape != label.shape:
            raise UserError(
                f'photo "{names[0]}" is {_said(photo)} pixels but its label image "{names[1]}" '
                f"{_said(label)}; bring them to one size"
            )
        if size is None and pairs and photo.shape != pairs[0][0].shape:
            raise UserError(
                f'"{names[0]}" is {_said(photo)} pixels, "{photos.names[0]}" '
                f"{_said(pairs[0][0])}; give the --size that all are resized to"
            )
        # kept at the wanted size at once: full photos of a whole set need much memory
        height, width = size or photo.shape[:2]
        pairs.append(
            (resize(photo, height, width, "bicubic"), resize(label, height, width, "nearest"))
        )
    both = [np.stack(one) for one in zip(*pairs)]
    return _prepared(both[0], both[1], labels.names, classes, size)


def _prepared(
    photos: Photos, labels: Photos, names: Sequence[str], classes: Classes, size: Size | None
) -> Labelled:
    height, width = size or photos.shape[1:3]
    photos = np.stack([resize(one, height, width, "bicubic") for one in photos])
    labels = np.stack([resize(one, height, width, "nearest") for one in labels])
    return Labelled(photos, exact(labels, classes, names))


def _said(pixels: Pixels) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"
