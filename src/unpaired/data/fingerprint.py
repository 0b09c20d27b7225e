"""Whether pictures are still those that they were, without decoding files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from unpaired.data.decode import Pixels
from unpaired.data.domains import DataSet, Domain
from unpaired.data.order import spread

SIZED = 100_000  # files whose sizes machines compare; over a network each is a request


def fingerprint(dataset: DataSet) -> str:
    """Another one, as soon as a picture of any split is added, removed, renamed or changed.

    Of a file its size and the time of its last change are looked at; of shards and tables what
    their `state` tells; of pictures in memory, every pixel.
    """
    splits = (dataset.train_x, dataset.train_y, dataset.test_x, dataset.test_y)
    told = [dataset.paired_test, *(_told(domain) for domain in splits)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


def across_machines(dataset: DataSet) -> str:
    """The same on all machines that have the same pictures, as far as names and sizes tell.

    Times are left out, which copies don't share, and so is the `state` of shards and tables, which
    holds times. Of a large domain the sizes of `SIZED` files, spread evenly, are asked for.
    """
    splits = (dataset.train_x, dataset.train_y, dataset.test_x, dataset.test_y)
    told = [
        dataset.paired_test,
        *([d.channels, str(d.dtype), list(d.names), _sizes(d)] for d in splits),
    ]
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:8]
    return f"{len(dataset.train_x)} and {len(dataset.train_y)} ({digest})"


def _sizes(domain: Domain) -> list[int]:
    files = domain.files or ()
    return [_size(files[i]) for i in spread(len(files), SIZED)]


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # as good as removed; whoever reads it says why
        return -1


def _told(domain: Domain) -> list[Any]:
    if domain.units is not None:
        return [str(domain.units), *_told(replace(domain, units=None))]
    if domain.state is not None:
        return [domain.channels, domain.dtype, domain.names, domain.state]
    states = (
        [_pixels(domain.read(i)) for i in range(len(domain))]
        if domain.files is None
        else [_state(file) for file in domain.files]
    )
    return [domain.channels, domain.dtype, domain.names, states]


def _pixels(picture: Pixels) -> str:
    return hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).hexdigest()


def _state(file: Path) -> str:
    try:
        found = file.stat()
    except OSError:  # as good as removed
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"
