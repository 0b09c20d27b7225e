"""Cityscapes as the paper used it: street photographs (X) and label maps (Y), 256 x 256, in pairs.

As the authors' preparation: train becomes the training pictures, val the test pictures, the sides
are brought to 256 without regard to the aspect, photographs are JPEGs of quality 100. Unlike it,
label maps are reduced by the nearest pixel and kept as PNG, so that every colour is one of a class.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from PIL import Image

from unpaired.data.conversions import with_channels
from unpaired.data.decode import UnreadableImage, read_picture
from unpaired.data.opening import Member
from unpaired.errors import UserError
from unpaired.meter import meter

SIDE = 256
ARCHIVES = ("gtFine_trainvaltest.zip", "leftImg8bit_trainvaltest.zip")
SPLITS = {"train": "train", "val": "test"}
PHOTO = re.compile(r"(?:^|/)leftImg8bit/(train|val)/[^/]+/([\w-]+)_leftImg8bit\.png$")
LABEL = re.compile(r"(?:^|/)gtFine/(train|val)/[^/]+/([\w-]+)_gtFine_color\.png$")
MOST_BYTES = 64 << 20  # of one picture in an archive; the originals have 2 to 3 million

Read = Callable[[], bytes]
Found = dict[tuple[str, str], Read]


def prepare(source: Path, folder: Path) -> int:
    """Write trainA, trainB, testA and testB below `folder`, which is there.

    Args: source: holds the two archives of `ARCHIVES`, or what is in them: gtFine and leftImg8bit.
    Returns: how many pairs.
    Raises: UserError if one is missing or damaged, or a photograph has no label map or vice versa.
    """
    if not source.is_dir():
        raise UserError(f'no folder "{source}"; give the one that holds {" and ".join(ARCHIVES)}')
    for split in SPLITS.values():
        for side in "AB":
            (folder / f"{split}{side}").mkdir()
    with ExitStack() as archives:
        photos, labels = _find(source, archives)
        for what, found, other in (("photograph", photos, labels), ("label map", labels, photos)):
            if lonely := sorted(found.keys() - other.keys()):
                raise UserError(
                    f'the {what} "{lonely[0][1]}" of {lonely[0][0]} has no partner in "{source}" '
                    f"({len(lonely)} such); it needs all of {' and '.join(ARCHIVES)}"
                )
        if {split for split, _ in photos} != set(SPLITS):
            raise UserError(
                f'"{source}" lacks train or val pictures; it needs all of {" and ".join(ARCHIVES)}'
            )
        keys = sorted(photos)
        with ThreadPoolExecutor(4) as pool, meter("preparing cityscapes", of_bytes=False) as show:
            made = pool.map(lambda key: _pair(key, photos[key], labels[key], folder), keys)
            for done, _ in enumerate(made, 1):
                show(done, len(keys))
        return len(keys)


def _find(source: Path, archives: ExitStack) -> tuple[Found, Found]:
    """(photographs, label maps) by (split, name)."""
    photos, labels = Found(), Found()
    for name, read in _files(source, archives):
        for pattern, found in ((PHOTO, photos), (LABEL, labels)):
            if match := pattern.search(name):
                found.setdefault((match[1], match[2]), read)
    return photos, labels


def _files(source: Path, archives: ExitStack) -> Iterator[tuple[str, Read]]:
    for path in sorted(source.rglob("*.png")):
        yield path.relative_to(source.parent).as_posix(), path.read_bytes
    for path in sorted(source.glob("*.zip")):
        try:
            packed = archives.enter_context(zipfile.ZipFile(path))
        except (zipfile.BadZipFile, ValueError) as error:
            raise UserError(f'"{path}" is damaged ({error}); download it again') from None
        for info in packed.infolist():
            if info.file_size <= MOST_BYTES:
                yield info.filename, partial(packed.read, info)


def _pair(key: tuple[str, str], photo: Read, label: Read, folder: Path) -> None:
    split, name = key
    for side, read, suffix in (("A", photo, "jpg"), ("B", label, "png")):
        how = Image.Resampling.BICUBIC if side == "A" else Image.Resampling.NEAREST
        try:
            pixels = with_channels(read_picture(Member(name, read())).pixels, 3)
        except (UnreadableImage, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise UserError(
                f'"{name}" can\'t be read ({error}); download the archives again'
            ) from None
        image = Image.fromarray(pixels).resize((SIDE, SIDE), how)
        place = folder / f"{SPLITS[split]}{side}" / f"{name}.{suffix}"
        image.save(place, quality=100, subsampling=0)  # which PNG has no use for
