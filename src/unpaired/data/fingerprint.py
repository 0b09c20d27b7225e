"""Whether pictures are still those that they were, without decoding files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from unpaired.data.decode import Pixels
from unpaired.data.domains import DataSet, Domain


def fingerprint(dataset: DataSet) -> str:
    """Another one, as soon as a picture of any split is added, removed, renamed or changed.

    Of a file its size and the time of its last change are looked at; of shards and tables what
    their `state` tells; of pictures in memory, every pixel.
    """
    splits = (dataset.train_x, dataset.train_y, dataset.test_x, dataset.test_y)
    told = [dataset.paired_test, *(_told(domain) for domain in splits)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


def in_names(dataset: DataSet) -> str:
    """The same on all machines that have the same pictures, as far as their names tell."""
    splits = (dataset.train_x, dataset.train_y, dataset.test_x, dataset.test_y)
    told = [dataset.paired_test, *([d.channels, str(d.dtype), list(d.names)] for d in splits)]
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:8]
    return f"{len(dataset.train_x)} and {len(dataset.train_y)} ({digest})"


def _told(domain: Domain) -> list[Any]:
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
