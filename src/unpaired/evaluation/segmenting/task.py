"""Label images in one domain, photos in the other: who reads which, and the floors beneath both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unpaired.data.decode import Pixels
from unpaired.data.domains import DataSet
from unpaired.data.images import DomainName, ImageConfig
from unpaired.data.showing import as_rgb
from unpaired.evaluation.metrics import Scores
from unpaired.evaluation.segmenting.classes import Classes, Maps
from unpaired.evaluation.segmenting.labelled import side_of_labels
from unpaired.evaluation.segmenting.labels import ColourLookup, exact, majority, nearest
from unpaired.evaluation.segmenting.scores import segmentation_estimates, segmentation_per_picture
from unpaired.evaluation.segmenting.segmenter import Segmenter
from unpaired.evaluation.views import Views, read_again, read_split, unmixed
from unpaired.methods.base import Direction


@dataclass(frozen=True)
class LabelTask:
    """How class maps are compared with the true ones (the FCN score, and nearest colours).

    labels -> photo: the segmenter reads the photo. photo -> labels: each pixel's nearest palette
    colour. Either way the classes are compared with those of the true label images.
    """

    classes: Classes
    domain: DomainName
    """Which domain holds the label images."""
    truth: Maps
    """Of the test label images."""
    segmenter: Segmenter | None
    lookup: ColourLookup | None
    """Mean colour per class, fitted on true training pairs; None if there are none."""
    commonest: int | None
    """The class of most training pixels."""

    def judges(self, direction: Direction, paired: bool) -> bool:
        """Whether the true class maps of what goes in are known: label images, or their pairs."""
        return paired or direction.startswith(self.domain)

    def read(self, pictures: Pixels, direction: Direction) -> Maps | None:
        """The class maps of pictures in the target domain; None: there is nobody to read them."""
        rgb = as_rgb(pictures)
        if direction.endswith(self.domain):
            return nearest(rgb, self.classes)
        return None if self.segmenter is None else self.segmenter(rgb)

    def scores(self, maps: Maps | None, seed: int) -> Scores:
        """The three figures of class maps against the true ones."""
        if maps is None:
            return {}
        return segmentation_estimates(self.truth, maps, len(self.classes.names), seed)

    def per_picture(self, maps: Maps | None) -> dict[str, NDArray[np.float64]]:
        """The three figures of each picture by itself, each (N,); nan where no class counts."""
        if maps is None:
            return {}
        return segmentation_per_picture(self.truth, maps, len(self.classes.names))

    def floors(self, direction: Direction, views: Views, seed: int) -> dict[str, Scores]:
        """What is reached without learning shapes, and the segmenter's own score as the ceiling."""
        rows: dict[str, Scores] = {}
        photos: DomainName = "y" if self.domain == "x" else "x"
        if self.commonest is not None:
            rows["majority"] = self.scores(majority(self.truth, self.commonest), seed)
        if self.lookup is not None and views.paired:
            drawn = (
                self.lookup.classes_of(as_rgb(views.test[photos]))
                if direction.endswith(self.domain)
                else self.read(self.lookup.photo_of(self.truth), direction)
            )
            rows["lookup"] = self.scores(drawn, seed)
        if self.segmenter is not None and views.paired:
            rows["ceiling"] = self.scores(self.segmenter(as_rgb(views.test[photos])), seed)
        return rows


def label_task(
    classes: Classes,
    dataset: DataSet,
    pairs: DataSet | None,
    views: Views,
    images: ImageConfig,
    size: int,
    limit: int,
    segmenter: Segmenter | None = None,
) -> LabelTask:
    """Find the domain that holds label images, read the true class maps and fit the floors.

    Args:
        dataset: what is being judged.
        pairs: the same data with true training pairs, for the floors; None if there are none.
        views: of `dataset`; images, size, limit: what `open_views` made them with.
    Raises: UserError if not one domain's pictures have the colours of the classes, or one of them
        has others.
    """
    domain = side_of_labels(dataset, classes)
    photos: DomainName = "y" if domain == "x" else "x"
    apart = unmixed(images, domain)
    seen = read_again(dataset, views, domain, apart, size)
    truth = exact(as_rgb(seen), classes, views.names[domain])
    if pairs is None:
        return LabelTask(classes, domain, truth, segmenter, None, None)
    learnt, names = read_split(pairs, "train", apart, size, limit, pairs=True)
    maps = exact(as_rgb(learnt[domain]), classes, names[domain])
    lookup = ColourLookup.fit(as_rgb(learnt[photos]), maps, classes)
    commonest = int(np.bincount(maps.ravel(), minlength=256)[: len(classes.names)].argmax())
    return LabelTask(classes, domain, truth, segmenter, lookup, commonest)
