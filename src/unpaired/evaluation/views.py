"""The pictures that every number is taken on, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from unpaired.data.decode import Pixels, UnreadableImage
from unpaired.data.domains import DataSet, Domain
from unpaired.data.images import DomainName, ImageConfig, middle, resized, without_jitter
from unpaired.data.order import spread
from unpaired.data.showing import seen_as
from unpaired.data.units import Units
from unpaired.errors import UserError

Split = Literal["train", "test"]

DOMAINS: tuple[DomainName, DomainName] = ("x", "y")


@dataclass(frozen=True)
class Views:
    """Test and training pictures of both domains, seen as in training, without chance.

    Arrays are (N, H, W, C) in the type of their domain; all of a domain have one size.

    Attributes:
        held_out: False: there is no test split, and `test` are pictures that were trained on.
        paired: `test` pictures at the same index show one thing.
        names, train_names: of the pictures, by domain.
        units: what levels stand for, by domain; None: for themselves.
    """

    held_out: bool
    paired: bool
    test: dict[DomainName, Pixels]
    names: dict[DomainName, tuple[str, ...]]
    train: dict[DomainName, Pixels]
    train_names: dict[DomainName, tuple[str, ...]]
    units: dict[DomainName, Units | None] = field(default_factory=dict)

    def seen_as(self, source: DomainName, target: DomainName) -> dict[str, str]:
        """How pictures of more than plain 8 bits are shown: "input" and "translation"."""
        told = {}
        for name, domain in (("input", source), ("translation", target)):
            own = self.test[domain]
            if how := seen_as(own.shape[3], str(own.dtype), self.units.get(domain)):
                told[name] = how
        return told


def open_views(
    dataset: DataSet, images: ImageConfig, size: int, limit: int, *, pairs: bool = False
) -> Views:
    """Decode up to `limit` pictures per domain and split, spread evenly; unreadable ones are left
    out, and their partners too.

    Under `scale-width` pictures of one shape are seen whole; otherwise the middle `size` x `size`.

    Args: pairs: training pictures at the same index show one thing.
    Raises: UserError if fewer than 2 pictures of a domain are left.
    """
    held_out = len(dataset.test_x) > 1 and len(dataset.test_y) > 1
    paired = (held_out and dataset.paired_test) or (pairs and not held_out)
    train, train_names = read_split(dataset, "train", images, size, limit, pairs=pairs)
    test, names = (
        read_split(dataset, "test", images, size, limit, pairs=paired)
        if held_out
        else (train, train_names)
    )
    units = {d: own.units for d, own in splits(dataset)["train"].items()}
    return Views(held_out, paired, test, names, train, train_names, units)


def read_split(
    dataset: DataSet, split: Split, images: ImageConfig, size: int, limit: int, *, pairs: bool
) -> tuple[dict[DomainName, Pixels], dict[DomainName, tuple[str, ...]]]:
    """The pictures of one split by domain, and their names, as `open_views` decodes them.

    Args: pairs: pictures at the same index show one thing; a pair of which one can't be read is
        left out.
    Raises: UserError if fewer than 2 pictures of a domain are left.
    """
    domains = splits(dataset)[split]
    seen = {d: _read(domains[d], d, images, size, limit) for d in DOMAINS}
    if pairs:
        both = seen["x"].keys() & seen["y"].keys()
        seen = {d: {i: p for i, p in own.items() if i in both} for d, own in seen.items()}
    for d in DOMAINS:
        if len(seen[d]) < 2:
            word = "training" if split == "train" else split
            raise UserError(
                f"domain {d.upper()} has too few {word} pictures to judge by, {len(seen[d])}; "
                "give 2 or more"
            )
    arrays = {d: _stacked(list(seen[d].values()), size) for d in DOMAINS}
    return arrays, {d: tuple(domains[d].names[i] for i in seen[d]) for d in DOMAINS}


def read_again(
    dataset: DataSet, views: Views, name: DomainName, images: ImageConfig, size: int
) -> Pixels:
    """The test pictures of one domain of `views`, under other settings."""
    domain = splits(dataset)["test" if views.held_out else "train"][name]
    places = {own: i for i, own in enumerate(domain.names)}
    chosen = domain.subset([places[own] for own in views.names[name]])
    return _stacked(list(_read(chosen, name, images, size, len(chosen)).values()), size)


def splits(dataset: DataSet) -> dict[Split, dict[DomainName, Domain]]:
    """The domains of a data set by split and name."""
    return {
        "train": {"x": dataset.train_x, "y": dataset.train_y},
        "test": {"x": dataset.test_x, "y": dataset.test_y},
    }


def seen_size(dataset: DataSet, images: ImageConfig, size: int) -> tuple[int, int]:
    """(height, width) of the first training picture as it is seen.

    Raises: UserError if none can be read.
    """
    few = _read(dataset.train_x, "x", images, size, 8)
    if not few:
        raise UserError("no training picture can be read; check the data with: unpaired data check")
    height, width = next(iter(few.values())).shape[:2]
    return height, width


def unmixed(images: ImageConfig, name: DomainName) -> ImageConfig:
    """The same views without mixing neighbouring colours in one domain: for label images."""
    if name == "y":
        return replace(images, interpolation_y="nearest")
    return replace(images, interpolation="nearest", interpolation_y=images.of("y").interpolation)


def _read(
    domain: Domain, name: DomainName, images: ImageConfig, size: int, limit: int
) -> dict[int, Pixels]:
    """Readable pictures by their index in the domain."""
    config = without_jitter(images.of(name), size)
    kept: dict[int, Pixels] = {}
    for i in spread(len(domain), limit):
        try:
            picture = resized(domain.read(i), config, size)
        except (UnreadableImage, ValueError):
            continue
        kept[i] = picture if config.mode == "scale-width" else middle(picture, size)
    return kept


def _stacked(pictures: list[Pixels], size: int) -> Pixels:
    """One array; pictures of several shapes are cropped to their middle."""
    if len({picture.shape for picture in pictures}) > 1:
        pictures = [middle(picture, size) for picture in pictures]
    return np.stack(pictures)
