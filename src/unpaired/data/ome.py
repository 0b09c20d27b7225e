"""What the XML of an OME-TIFF claims, looked at before tifffile acts on it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile

from unpaired.data.picture import UnreadableImage

PLANES = 1 << 16
"""That a file may claim to have; tifffile makes a list of as many, there or not."""


def check_ome(path: Path, tiff: tifffile.TiffFile) -> None:
    """Refuse claims that would take hours or all memory, and names of other files, which tifffile
    would open, wherever they lead.

    Raises: UnreadableImage.
    """
    try:
        root: Any = ElementTree.fromstring(tiff.ome_metadata or "")
    except ElementTree.ParseError:
        return  # tifffile, too, takes no notice of it
    own, name = root.get("UUID"), tiff.filename.lower()
    claimed = 0
    for element in root.iter():
        kind = str(element.tag).rpartition("}")[2]
        if kind.endswith("Pixels"):
            sizes = [int(element.get(f"Size{axis}", 1)) for axis in "ZCT"]
            if min(sizes) < 1 or math.prod(sizes) > PLANES:
                raise UnreadableImage(path, f"its metadata claim {math.prod(sizes)} planes")
        elif kind.endswith("TiffData"):
            # none given: as many as there are
            told = element.get("PlaneCount") or element.get("NumPlanes")
            claimed += int(told) if told else 1 if element.get("IFD") else len(tiff.pages)
        elif kind.endswith("UUID"):
            other = element.text != own if own else element.get("FileName", "").lower() != name
            if other:
                raise UnreadableImage(path, "its channels lie in several files; write them to one")
        elif kind[:-1].endswith("Along") and element.get("Start"):
            start, end, step = (float(element.get(key, 1)) for key in ("Start", "End", "Step"))
            claimed += PLANES + 1 if not abs(end - start) < PLANES * abs(step) else 0
        if claimed > PLANES:
            raise UnreadableImage(path, f"its metadata claim over {PLANES} planes")
