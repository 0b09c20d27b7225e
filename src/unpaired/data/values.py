"""What values a domain's files hold, and which range would suit them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unpaired.data.decode import UnreadableImage, probe, read_stored
from unpaired.data.images import DomainName
from unpaired.data.layouts import Layout
from unpaired.data.order import spread
from unpaired.data.units import PLAIN, Span

MEASURED = 500  # files that are decoded, spread evenly
PIXELS = 10_000  # of each, for the percentiles
OUTER = 0.1  # per cent at both ends that may be noise, hot pixels or markers
UNUSED = 0.5  # share of a type's range below which a range of one's own is worth it


@dataclass(frozen=True)
class Values:
    """One channel: its extremes, and between what all but 0.1 % at either end lie."""

    least: float
    low: float
    high: float
    most: float

    def __str__(self) -> str:
        return f"{self.least:g} to {self.most:g} (0.1 to 99.9 %: {self.low:g} to {self.high:g})"


@dataclass(frozen=True)
class Measured:
    """The values of one domain's training files, which are not all plain 8 bits.

    Attributes:
        dtypes: their types.
        channels: of those files that have as many as the first.
        not_finite: files that hold nan or inf.
    """

    domain: DomainName
    dtypes: tuple[str, ...]
    channels: tuple[Values, ...]
    not_finite: int

    @property
    def refused(self) -> bool:
        """Whether the files can't be read without a range."""
        return not set(self.dtypes) <= set(PLAIN)

    @property
    def span(self) -> Span:
        """From the smallest to the largest value of all channels."""
        least = min(one.least for one in self.channels)
        return least, max(max(one.most for one in self.channels), np.nextafter(least, math.inf))

    @property
    def suggested(self) -> Span | None:
        """A range to train with; None: the type's does well."""
        low, high = (min(c.low for c in self.channels), max(c.high for c in self.channels))
        least, most = self.span
        if not self.refused:
            limit = max(np.iinfo(dtype).max for dtype in self.dtypes)
            if high - low > UNUSED * limit:
                return None
        whole = all(np.dtype(dtype).kind in "iu" for dtype in self.dtypes)
        if whole and least >= 0 and 255 < most <= 65535:  # what a camera of so many bits gives
            return 0.0, next(float(2**k - 1) for k in range(9, 17) if high < 1.01 * 2**k)
        return _outward(low, high) if low < high else (least, most)

    def lines(self) -> list[str]:
        """For people, a line per channel."""
        return [
            f"  train_{self.domain}  values of channel {number}: {one}"
            for number, one in enumerate(self.channels, 1)
        ]


def advice(measured: Sequence[Measured]) -> list[str]:
    """What to do about them, a sentence each."""
    found = [
        f"{one.not_finite} files of domain {one.domain.upper()} hold nan or inf and can't be "
        "trained on; give those places a number"
        for one in measured
        if one.not_finite
    ]
    wanted = {one.domain: one.suggested for one in measured}
    why = [
        f"domain {one.domain.upper()} is {' and '.join(one.dtypes)}, "
        + ("which needs a range" if one.refused else "most of which is unused")
        for one in measured
        if wanted[one.domain]
    ]
    if not why:
        return found
    options = []
    if span := wanted.get("x"):
        options.append("--images.range {:.10g} {:.10g}".format(*span))
    # Y would take the range of X for its own
    kinds = [kind for one in measured if one.domain == "y" for kind in one.dtypes]
    plain = 65535.0 if "uint16" in kinds else 255.0
    if span := wanted.get("y") or ((0.0, plain) if options else None):
        options.append("--images.range-y {:.10g} {:.10g}".format(*span))
    return [*found, f"{'; '.join(why)}; train with {' '.join(options)}, or what you know of them"]


def measure_values(layout: Layout) -> list[Measured]:
    """Of every domain that is not 8 bits throughout. Files that can't be read are left out."""
    found = []
    for domain, files in (("x", layout.x), ("y", layout.y)):
        chosen = [files.train[i] for i in spread(len(files.train), MEASURED)]
        if measured := _measured(domain, chosen):  # type: ignore[arg-type]
            found.append(measured)
    return found


def _measured(domain: DomainName, files: Sequence[Path]) -> Measured | None:
    dtypes: set[str] = set()
    for file in files:
        try:
            dtypes.add(probe(file, any_type=True)[1])
        except UnreadableImage:  # told by whoever opens the data set
            continue
    if not dtypes - {"uint8"}:
        return None
    some: list[NDArray[np.float64]] = []
    least, most, bad = [], [], 0
    for file in files:
        try:
            pixels = read_stored(file).pixels
        except UnreadableImage:
            continue
        flat = pixels.reshape(-1, pixels.shape[2]).astype(np.float64)
        if some and flat.shape[1] != some[0].shape[1]:
            continue
        finite = np.isfinite(flat).all(axis=1)
        bad += not finite.all()
        flat = flat[finite]
        if len(flat):
            least.append(flat.min(axis=0))
            most.append(flat.max(axis=0))
            some.append(flat[:: max(1, len(flat) // PIXELS)])
    if not some:
        return None
    ends = np.percentile(np.concatenate(some), [OUTER, 100 - OUTER], axis=0)
    table = np.stack([np.min(least, axis=0), *ends, np.max(most, axis=0)], axis=1)
    channels = tuple(Values(*map(float, row)) for row in table)
    return Measured(domain, tuple(sorted(dtypes)), channels, bad)


def _outward(low: float, high: float) -> Span:
    """Rounded to two digits of their distance, so that it can be typed."""
    step = 10.0 ** (math.floor(math.log10(high - low)) - 1)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
