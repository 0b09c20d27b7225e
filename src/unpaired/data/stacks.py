"""TIFFs of several planes whose metadata say what they are: OME, ImageJ, tifffile and the like."""

from __future__ import annotations

import math
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tifffile

from unpaired.data.ome import check_ome
from unpaired.data.picture import MAX_BYTES, Picture, UnreadableImage, oriented
from unpaired.data.tiff import check_segments, unpacked

DESCRIBED = (
    *("ome", "imagej", "shaped", "lsm", "stk", "fluoview", "micromanager", "nih", "scanimage"),
    *("metaseries", "indica", "eer", "sis"),
)
"""Flags of files that name the axes of their planes. Of others (scans, slides, thumbnails beside a
picture) the first page is the picture."""
CHANNELS = "CS"
AXES = {"Z": "depth", "T": "time", "R": "tiles", "P": "positions", "A": "angles"}


def planes_of(path: Path, tiff: tifffile.TiffFile) -> tifffile.TiffPageSeries | None:
    """The planes that together are one picture, a channel each; None: the first page is all.

    Raises: UnreadableImage for a stack over anything but channels, and for planes in other files.
    """
    if not any(getattr(tiff, f"is_{kind}", False) for kind in DESCRIBED):
        return None
    if tiff.is_ome:
        check_ome(path, tiff)
    series = tiff.series[0]
    sizes = dict(zip(series.axes, series.shape))
    if math.prod(n for axis, n in sizes.items() if axis not in "YXS") == 1:
        return None
    for axis, count in sizes.items():
        if axis not in "YX" + CHANNELS and count > 1:
            what = AXES.get(axis, "an axis that is not named")
            raise UnreadableImage(
                path,
                f"a stack of {count} planes ({what}; axes {series.axes}); write each to a file of "
                "its own, or name the axes CYX if they are channels",
            )
    if sizes.get("S", 1) > 1:
        raise UnreadableImage(path, f"colour in several channels (axes {series.axes})")
    if series.is_multifile:  # of Micro-Manager; of OME it was seen
        raise UnreadableImage(path, "its channels lie in several files; write them to one")
    if math.prod(series.shape) * series.dtype.itemsize > MAX_BYTES:
        raise UnreadableImage(path, f"its pixels take over {MAX_BYTES} bytes")
    return series


def channels_of(series: tifffile.TiffPageSeries) -> int:
    """How many planes there are."""
    return int(series.shape[series.axes.index("C")])


def read_planes(path: Path, series: tifffile.TiffPageSeries, file: BinaryIO) -> Picture:
    """Decode what `planes_of` found: (H, W, C), nothing of it alpha.

    Raises: UnreadableImage, or whatever tifffile raises on a bad file.
    """
    key = series.keyframe
    for page in series.pages:
        if page is None:
            raise UnreadableImage(path, "some of its planes are missing")
        check_segments(path, page.aspage(), file)
    values = unpacked(path, series, key)
    order = [series.axes.index(axis) for axis in "YXC"]
    spare = [at for at in range(values.ndim) if at not in order]
    values = values.transpose(*order, *spare).reshape([series.shape[at] for at in order])
    tag = key.tags.get("Orientation")
    values = np.ascontiguousarray(oriented(values, int(tag.value) if tag else 1))
    if key.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        values = np.iinfo(values.dtype).max - values
    return Picture(values)
