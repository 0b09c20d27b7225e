"""What eyes, and networks that know photographs, are shown: 8 bits and three colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unpaired.data.conversions import with_channels, with_dtype
from unpaired.data.decode import Pixels
from unpaired.data.units import Units

PLAIN = (1, 3)  # channels that everybody sees alike


def as_rgb(pictures: Pixels) -> NDArray[np.uint8]:
    """(..., C) uint8 or uint16 -> (..., 3) uint8; grey is repeated, other channels are `mixed`."""
    if pictures.shape[-1] == 1:
        return with_dtype(pictures, "uint8").repeat(3, axis=-1)
    return with_dtype(mixed(pictures), "uint8")


def mixed(pictures: Pixels) -> Pixels:
    """(..., C) -> (..., 3) of the same type: every channel in a hue of its own, and added.

    The hues lie evenly round the circle, the first being red; so three channels are RGB. All
    channels at their largest are white, and nothing is clipped.
    """
    channels = pictures.shape[-1]
    if channels == 3:
        return pictures
    shares = hues(channels)
    made = np.empty((*pictures.shape[:-1], 3), pictures.dtype)
    for at in np.ndindex(pictures.shape[:-3]):  # one picture at a time: sums are float64
        made[at] = np.rint(pictures[at].astype(np.float64) @ shares).astype(pictures.dtype)
    return made


def hues(channels: int) -> NDArray[np.float64]:
    """(C, 3): what each channel gives to red, green and blue; columns add up to 1."""
    sixths = np.arange(channels)[:, None] * 6 / channels - np.array([0, 2, 4])
    away = np.abs((sixths + 3) % 6 - 3)  # from each primary, in sixths of the circle
    weights = np.clip(2 - away, 0, 1)
    shares: NDArray[np.float64] = weights / weights.sum(axis=0)
    return shares


def seen_as(channels: int, dtype: str, units: Units | None = None) -> str:
    """How `as_rgb` shows such pictures, for people; empty if there is nothing to say.

    Args: units: what 16-bit levels stand for.
    """
    parts = []
    if channels not in PLAIN:
        parts.append(f"{channels} channels, each in a hue of its own (the first is red), added up")
    if units is not None:
        parts.append(f"{units.low:g} is black and {units.high:g} white ({units.dtype})")
    elif dtype != "uint8":
        parts.append("16 bits cut to 8, the whole range from black to white")
    return "; ".join(parts)


def comparable(channels: int, others: int) -> bool:
    """Whether values of one domain can be set against those of the other, channel by channel."""
    return channels == others or {channels, others} == set(PLAIN)


def likened(pictures: Pixels, channels: int) -> Pixels:
    """(N, H, W, C) -> (N, H, W, `channels`): as `with_channels`, and a stand-in where that refuses.

    Three channels are `mixed`; of any other number, each is the mean of all.
    """
    n, height, width, have = pictures.shape
    if comparable(have, channels):
        return with_channels(pictures.reshape(-1, width, have), channels).reshape(
            n, height, width, channels
        )
    if channels == 3:
        return mixed(pictures)
    means = np.rint(pictures.mean(axis=3, keepdims=True)).astype(pictures.dtype)
    return means.repeat(channels, axis=3)
