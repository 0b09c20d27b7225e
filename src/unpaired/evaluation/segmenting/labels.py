"""Label images as class maps: which colour stands for which class, exactly, nearly, by mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unpaired.errors import UserError
from unpaired.evaluation.segmenting.classes import IGNORED, Classes, Maps, Photos

TOLERANCE = 24.0  # Euclidean; JPEG at quality 75 stays within it away from edges
UNKNOWN_SHARE = 0.01  # of a picture's pixels; above it the colours mean something else
BLURRED_SHARE = 0.25  # of them, between the colours of classes; above it the rest says too little
EDGE = 2  # pixels that JPEG and resizing blur an edge to, on either side
SAMPLED = 1 << 14  # pixels of a picture that tell whether it is a label image
ROWS_AT_ONCE = 1 << 16  # pixels whose distances to all colours are held in memory
FITTING = "give other --classes, or label images that no JPEG or resizing has blurred"


def exact(pictures: Photos, classes: Classes, names: Sequence[str]) -> Maps:
    """True label images as class maps; ignored colours and blurred edges become IGNORED.

    A pixel belongs to the class (or ignored colour) whose colour is nearest, if that is within
    TOLERANCE. Others are forgiven where JPEG or resizing has mixed the colours of neighbours: near
    to a known colour, each mixture rare, and not too many.

    Args: pictures: (N, H, W, 3) uint8; names: of the files, for the complaint.
    Returns: (N, H, W).
    Raises: UserError that names the file and a colour if over 1 % of a picture has one unknown
        colour or lies amid unknown colours, or over 25 % is blurred.
    """
    index, distance = _nearest(pictures, _known(classes))
    maps = np.where(index < len(classes.names), index, IGNORED).astype(np.uint8)
    unknown = distance > TOLERANCE
    maps[unknown] = IGNORED
    amid = unknown & ~_widened(~unknown, EDGE)
    for i in np.flatnonzero(unknown.mean(axis=(1, 2)) > UNKNOWN_SHARE).tolist():
        colours, counts = np.unique(pictures[i][unknown[i]], axis=0, return_counts=True)
        foreign = max(amid[i].mean(), counts.max() / unknown[i].size)
        if foreign > UNKNOWN_SHARE or unknown[i].mean() > BLURRED_SHARE:
            raise UserError(
                f'"{names[i]}": {unknown[i].mean():.0%} of its pixels have colours that no class '
                f"of {classes.name} has, such as {colours[counts.argmax()].tolist()}; {FITTING}"
            )
    return maps


def foreign_colours(
    pictures: Sequence[Photos], classes: Classes
) -> tuple[float, tuple[int, ...] | None]:
    """How far pictures are from label images: the share of their pixels whose colour is not even
    nearly one of the classes', and the commonest such colour.

    Args: pictures: (H, W, 3) uint8, of any sizes; each counts the same.
    """
    shares, seen = [], []
    for picture in pictures:
        pixels = picture.reshape(-1, 3)
        pixels = pixels[:: 1 + len(pixels) // SAMPLED]
        foreign = _nearest(pixels, _known(classes))[1] > TOLERANCE
        shares.append(foreign.mean())
        seen.append(pixels[foreign])
    colours, counts = np.unique(np.concatenate(seen), axis=0, return_counts=True)
    commonest = tuple(colours[counts.argmax()].tolist()) if len(counts) else None
    return float(np.mean(shares)), commonest


def nearest(pictures: Photos, classes: Classes) -> Maps:
    """Generated label images as class maps: each pixel's nearest class colour (Euclidean, RGB).

    That is how the paper reads photo -> labels (sec. 5.1.2).

    Args: pictures: (N, H, W, 3) uint8. Returns: (N, H, W), never IGNORED.
    """
    return _nearest(pictures, classes.palette)[0].astype(np.uint8)


def render(maps: Maps, classes: Classes) -> Photos:
    """Class maps (..., H, W) as label images (..., H, W, 3); IGNORED is drawn black."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(classes.colours)] = classes.colours
    drawn: Photos = table[maps]
    return drawn


@dataclass(frozen=True)
class ColourLookup:
    """What colours alone can tell: one photo colour per class, the mean over true pairs.

    A floor for both directions. It has seen pairs, which no unpaired method has.
    """

    means: NDArray[np.float64]
    """(K, 3); nan for a class that no training pixel has."""

    @classmethod
    def fit(cls, photos: Photos, maps: Maps, classes: Classes) -> ColourLookup:
        """From true pairs: photos (N, H, W, 3) and their class maps (N, H, W)."""
        count = len(classes.names)
        flat, of = photos.reshape(-1, 3).astype(np.float64), maps.ravel()
        counts = np.bincount(of, minlength=256)[:count]
        sums = np.stack([np.bincount(of, flat[:, c], minlength=256)[:count] for c in range(3)], 1)
        with np.errstate(invalid="ignore"):
            return cls(sums / counts[:, None])

    def classes_of(self, photos: Photos) -> Maps:
        """(N, H, W, 3) -> (N, H, W): the class whose mean colour is nearest."""
        seen = np.flatnonzero(~np.isnan(self.means[:, 0]))
        return seen[_nearest(photos, self.means[seen])[0]].astype(np.uint8)

    def photo_of(self, maps: Maps) -> Photos:
        """(N, H, W) -> (N, H, W, 3): each class in its mean colour; grey where there is none."""
        table = np.full((256, 3), 128.0)
        table[: len(self.means)] = np.where(np.isnan(self.means), 128.0, self.means)
        drawn: Photos = np.rint(table).astype(np.uint8)[maps]
        return drawn


def majority(like: Maps, commonest: int) -> Maps:
    """One class everywhere, shaped as `like`."""
    return np.full_like(like, commonest)


def _known(classes: Classes) -> NDArray[np.float64]:
    """(K, 3) colours that a pixel may have: of the classes, then the ignored ones."""
    return np.array((*classes.colours, *classes.ignored), np.float64)


def _nearest(
    pictures: Photos, colours: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """(..., 3), (K, 3) -> index of the nearest colour, the first of equals, and its distance."""
    flat = pictures.reshape(-1, 3)
    index = np.empty(len(flat), np.intp)
    distance = np.empty(len(flat))
    lengths = (colours**2).sum(1)
    for start in range(0, len(flat), ROWS_AT_ONCE):
        part = flat[start : start + ROWS_AT_ONCE].astype(np.float64)
        # |p - c|^2 without |p|^2; exact, as long as the colours are whole numbers
        squared = lengths - 2 * (part @ colours.T)
        best = squared.argmin(1)
        index[start : start + len(part)] = best
        least = squared[np.arange(len(part)), best] + (part**2).sum(1)
        distance[start : start + len(part)] = np.sqrt(np.maximum(least, 0))
    return index.reshape(pictures.shape[:-1]), distance.reshape(pictures.shape[:-1])


def _widened(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """(N, H, W) -> the same, with all that lies within a square of side 2 by + 1 around it."""
    for axis in (1, 2):
        wide = mask.copy()
        for step in range(1, by + 1):
            there, back = [slice(None)] * 3, [slice(None)] * 3
            there[axis], back[axis] = slice(step, None), slice(None, -step)
            wide[tuple(there)] |= mask[tuple(back)]
            wide[tuple(back)] |= mask[tuple(there)]
        mask = wide
    return mask
