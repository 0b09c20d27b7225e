"""The pictures of a study, re-encoded alike so that nothing but the picture tells them apart."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import PIL.Image

from unpaired.study.pictures import Kind, Picture
from unpaired.study.sources import RGB, Side


def encode_alike(pixels: RGB, size: int) -> bytes:
    """(H, W, 3) uint8 -> PNG of `size` x `size` without metadata, and without compression.

    Pictures of one size then have files of one length: how well a picture compresses would tell a
    smooth generated one from a real one.
    """
    image = PIL.Image.fromarray(pixels)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    if square.width != size:
        square = square.resize((size, size), PIL.Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    square.save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def obvious_fake(pixels: RGB, rng: np.random.Generator) -> RGB:
    """A picture that nobody who looks takes for real: its blocks shuffled, its colours turned."""
    side = min(pixels.shape[:2])
    block = max(1, side // 8)
    cut = pixels[: side // block * block, : side // block * block]
    rows, columns = cut.shape[0] // block, cut.shape[1] // block
    blocks = cut.reshape(rows, block, columns, block, 3).transpose(0, 2, 1, 3, 4)
    mixed = rng.permutation(blocks.reshape(-1, block, block, 3)).reshape(blocks.shape)
    again = mixed.transpose(0, 2, 1, 3, 4).reshape(cut.shape)
    return np.ascontiguousarray(255 - again[..., [1, 2, 0]])


def choose_pictures(
    sides: Mapping[str, Side], obvious: int, rng: np.random.Generator
) -> list[tuple[Picture, Callable[[], RGB]]]:
    """Every picture of a study under a random name, in random order, with what reads it.

    Args:
        sides: the pictures by direction, "" if there is one.
        obvious: how many obvious fakes to make, of real pictures, per direction.
    """
    jobs: list[tuple[Kind, str, str, Callable[[], RGB]]] = []
    for way, side in sides.items():
        jobs += [("real", way, name, read) for name, read in side.real.items()]
        jobs += [
            ("fake", f"{arm} {way}".rstrip(), name, read)
            for arm, own in side.fakes.items()
            for name, read in own.items()
        ]
        if obvious:
            names = list(side.real)
            chosen = rng.choice(len(names), obvious, replace=len(names) < obvious)
            jobs += [
                ("obvious", way, f"{names[i]} #{k}", side.real[names[i]])
                for k, i in enumerate(chosen)
            ]
    mixed = [jobs[place] for place in rng.permutation(len(jobs))]
    return [(Picture(secrets.token_hex(12), *what), read) for *what, read in mixed]


def write_picture(
    folder: Path, picture: Picture, pixels: RGB, size: int, rng: np.random.Generator
) -> None:
    """Re-encode a picture under its random name. Raises: OSError."""
    shown = obvious_fake(pixels, rng) if picture.kind == "obvious" else pixels
    (folder / f"{picture.id}.png").write_bytes(encode_alike(shown, size))


def common_size(sides: Mapping[str, Side]) -> int:
    """The shorter side of the first picture, real if there are any: the size that a study shows
    them at unless told otherwise; from 16 to 1024."""
    first = next(iter(sides.values()))
    pictures = first.real or next(iter(first.fakes.values()))
    pixels = next(iter(pictures.values()))()
    return min(1024, max(16, int(min(pixels.shape[:2]))))
