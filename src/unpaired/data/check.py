"""Looking a data set over before hours of training are spent on it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unpaired.data.datasets import layout_of, open_dataset
from unpaired.data.decode import UnreadableImage
from unpaired.data.domains import Domain
from unpaired.data.images import DomainName
from unpaired.data.units import Span
from unpaired.data.values import Measured, advice, measure_values
from unpaired.errors import UserError

SMALL = 100  # pictures; with fewer a discriminator soon knows them by heart


@dataclass(frozen=True)
class SplitReport:
    """One split of one domain."""

    pictures: int
    channels: int
    dtype: str
    smallest: str
    largest: str
    doubles: int


@dataclass(frozen=True)
class DataReport:
    """What was found. `warnings` are sentences that say what to do.

    Attributes:
        train_pairs: pairs that a paired method would find to learn from.
        values: of training files that are not 8 bits, by domain.
    """

    name: str
    splits: dict[str, SplitReport]
    train_pairs: int
    paired_test: bool
    unreadable: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    values: tuple[Measured, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def text(self) -> str:
        """A page for people."""
        lines = [self.name]
        for name, split in self.splits.items():
            sizes = (
                split.smallest
                if split.smallest == split.largest
                else (f"{split.smallest} to {split.largest}")
            )
            lines.append(
                f"  {name:<8} {split.pictures:>6} pictures, "
                f"{split.channels} {'channel' if split.channels == 1 else 'channels'}, "
                f"{split.dtype}, {sizes} pixels"
                + (f", {split.doubles} doubles" if split.doubles else "")
            )
        lines += [line for one in self.values for line in one.lines()]
        if self.train_pairs:
            lines.append(f"  {self.train_pairs} training pairs: paired methods can learn from them")
        if self.paired_test:
            lines.append("  the test splits are pairs: they can be scored")
        lines += [f"  unreadable: {name}: {reason}" for name, reason in self.unreadable]
        lines += [f"  warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)


def check_dataset(
    data: str | None, x: Path | str | None = None, y: Path | str | None = None
) -> DataReport:
    """Decode every picture once and report; some of those that are not 8 bits twice.

    Raises: UserError as `open_dataset` does.
    """
    layout = layout_of(data, x, y)
    values = measure_values(layout) if layout else []
    spans = {one.domain: one.span for one in values if one.refused}
    dataset = open_dataset(data, x, y, range_x=spans.get("x"), range_y=spans.get("y"))
    splits: dict[str, SplitReport] = {}
    places: dict[str, list[str]] = defaultdict(list)  # content hash -> where it was seen
    unreadable = list(dataset.skipped)
    for name in ("train_x", "train_y", "test_x", "test_y"):
        domain: Domain = getattr(dataset, name)
        if len(domain):
            splits[name] = _split(name, domain, places, unreadable)
    warnings = [
        warning
        for name, split in splits.items()
        if name.startswith("train") and (warning := few(name, split.pictures))
    ]
    shared = Counter(
        " and ".join(sorted({where.split(":")[0] for where in seen}))
        for seen in places.values()
        if len({where.split(":")[0] for where in seen}) > 1
    )
    warnings += [
        f"{count} pictures are in {where}; scores on them mean nothing, remove one side"
        for where, count in shared.items()
    ]
    if not len(dataset.test_x) or not len(dataset.test_y):
        warnings.append("no test split; make testA and testB to see and score unseen pictures")
    warnings += advice(values)
    return DataReport(
        dataset.name,
        splits,
        _train_pairs(data, x, y, spans),
        dataset.paired_test,
        tuple(unreadable),
        tuple(warnings),
        tuple(values),
    )


def few(name: str, pictures: int) -> str:
    """What to say of a training split that has too few pictures; empty: it has enough."""
    if pictures >= SMALL:
        return ""
    return f"{name} has only {pictures} pictures; below {SMALL} a run soon learns them by heart"


def _train_pairs(
    data: str | None, x: Path | str | None, y: Path | str | None, spans: dict[DomainName, Span]
) -> int:
    ranges = spans.get("x"), spans.get("y")
    try:
        opened = open_dataset(data, x, y, range_x=ranges[0], range_y=ranges[1], paired=True)
        return len(opened.train_x)
    except UserError:
        return 0


def _split(
    name: str, domain: Domain, places: dict[str, list[str]], unreadable: list[tuple[str, str]]
) -> SplitReport:
    sizes: list[tuple[int, int]] = []
    own = Counter[str]()
    for index, picture in enumerate(domain.names):
        try:
            pixels = domain.read(index)
        except UnreadableImage as error:
            unreadable.append((picture, error.reason))
            continue
        digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
        own[digest] += 1
        places[digest].append(f"{name}:{picture}")
        sizes.append((pixels.shape[1], pixels.shape[0]))
    by_area = sorted(sizes, key=lambda size: size[0] * size[1]) or [(0, 0)]
    return SplitReport(
        len(domain),
        domain.channels,
        domain.units.dtype if domain.units else domain.dtype,
        "{} x {}".format(*by_area[0]),
        "{} x {}".format(*by_area[-1]),
        sum(count - 1 for count in own.values()),
    )
