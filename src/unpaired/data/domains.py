"""Two collections of pictures, found on disk or in the catalog, split and checked."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from unpaired.data.catalog import NAMED_SETS, Pictures
from unpaired.data.decode import (
    IMAGE_SUFFIXES,
    Pixels,
    UnreadableImage,
    probe,
    read_picture,
    with_channels,
    with_dtype,
)
from unpaired.errors import UserError

LAYOUTS = (("trainA", "trainB", "testA", "testB"), ("trainX", "trainY", "testX", "testY"))
UNREADABLE_SHARE = 0.05  # above it something is wrong with the folder, not with a file
PROBED = 2000  # headers read before a start; a larger domain is sampled evenly

Skipped = tuple[tuple[str, str], ...]


class Read(Protocol):
    """(index, at_least) -> (H, W, channels); `at_least` as in `read_picture`."""

    def __call__(self, index: int, at_least: int | None = None) -> Pixels: ...


@dataclass(frozen=True)
class Domain:
    """One collection of pictures.

    Attributes:
        names: stable, relative, with every dot; unique.
        read: decodes one picture to `channels` and `dtype`; raises UnreadableImage.
        channels: of every picture that `read` gives.
        dtype: "uint8" or "uint16", of every picture that `read` gives.
    """

    names: tuple[str, ...]
    read: Read
    channels: int
    dtype: str

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, indices: Sequence[int]) -> Domain:
        """The pictures at `indices`, in that order."""
        kept = tuple(int(i) for i in indices)
        names = tuple(self.names[i] for i in kept)

        return Domain(names, _ReadSome(self.read, kept), self.channels, self.dtype)


@dataclass(frozen=True)
class DataSet:
    """Two domains, each split. A test split may be empty.

    Attributes:
        paired_test: test pictures at the same index are two views of one thing. No unpaired method
            is told; it is for scoring.
        skipped: (name, reason) of files that can't be read.
    """

    name: str
    train_x: Domain
    train_y: Domain
    test_x: Domain
    test_y: Domain
    paired_test: bool = False
    skipped: Skipped = ()


def open_dataset(
    data: str | None = None,
    x: Path | None = None,
    y: Path | None = None,
    *,
    channels_x: int | None = None,
    channels_y: int | None = None,
) -> DataSet:
    """Open a named set (`worldtiles:map-aerial`), a folder with trainA/trainB, or two folders.

    Two arbitrary folders are split by `held_out`. Channels, unless given, are what most files have.

    Raises: UserError if a folder is missing, holds no pictures, or over 5 % can't be read.
    """
    if data is not None and (x is not None or y is not None):
        raise UserError("--data and --x/--y are both given; drop one of them")
    if data is None and (x is None or y is None):
        missing = "--data FOLDER, or --x FOLDER and --y FOLDER"
        if (x is None) != (y is None):
            missing = "--y FOLDER" if y is None else "--x FOLDER"
        raise UserError(f"no pictures to learn from; give {missing}")
    if data is None:
        assert x is not None
        assert y is not None
        if x.resolve() == y.resolve():
            raise UserError(f'--x and --y are the same folder, "{x}"; give two')
        for inner, outer in ((x, y), (y, x)):
            if outer.resolve() in inner.resolve().parents:
                raise UserError(
                    f'"{inner}" lies in "{outer}", whose sub-folders are searched too, so X and Y '
                    "would share pictures; give two folders beside each other"
                )
        splits = []
        for root, flag in ((x, "--x"), (y, "--y")):
            files = _images_in(root, flag)
            test = [f for f in files if held_out(f, root, len(files))]
            splits.append((root, sorted(set(files) - set(test)), test))
        dataset = _assemble(f"{x} and {y}", splits, channels_x, channels_y)
        # equal names in two folders that were never meant as a data set prove nothing
        return replace(dataset, paired_test=False)
    name, _, rest = data.partition(":")
    if name in NAMED_SETS and not Path(data).exists():
        return _named(data, name, rest)
    root = Path(data)
    if not root.is_dir():
        known = "worldtiles:map-aerial (`unpaired data list` has all)"
        raise UserError(f'no folder "{data}"; check the path, or give a named set such as {known}')
    for a, b, test_a, test_b in LAYOUTS:
        if (root / a).is_dir() or (root / b).is_dir():
            splits = [
                (root / train, _images_in(root / train, "--data"), list_images(root / test))
                for train, test in ((a, test_a), (b, test_b))
            ]
            return _assemble(data, splits, channels_x, channels_y)
    raise UserError(
        f'"{data}" has no trainA and trainB (or trainX and trainY); make them, or give the two '
        "folders with --x and --y"
    )


def list_images(folder: Path) -> list[Path]:
    """Every picture below `folder`, sorted by relative path; without hidden ones and link loops."""
    found: list[Path] = []
    seen: set[str] = set()
    for at, folders, files in os.walk(folder, followlinks=True):
        here = os.path.realpath(at)
        if here in seen:  # a symbolic link that leads back
            folders.clear()
            continue
        seen.add(here)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        found += [
            Path(at) / f
            for f in files
            if not f.startswith(".") and Path(f).suffix.lower() in IMAGE_SUFFIXES
        ]
    return sorted(found, key=lambda p: p.relative_to(folder).as_posix())


def held_out(file: Path, root: Path, count: int) -> bool:
    """Whether a file of two arbitrary folders belongs to the test split.

    The rule: a tenth (a twentieth from 2,000 files on), by a hash of the relative name, so that the
    same file is always on the same side; nothing is held out of fewer than 20.
    """
    if count < 20:
        return False
    name = os.fsencode(file.relative_to(root).as_posix())  # names need not be UTF-8
    digest = hashlib.sha256(name).digest()
    return int.from_bytes(digest[:8], "big") % (10 if count < 2000 else 20) == 0


def file_domain(files: Sequence[Path], root: Path, channels: int, dtype: str) -> Domain:
    """The domain of these files; each converted to `channels` and `dtype` when read."""
    names = tuple(f.relative_to(root).as_posix() for f in files)
    return Domain(names, _ReadFiles(tuple(files), channels, dtype), channels, dtype)


# Three ways to read; classes, because worker processes are sent them.
@dataclass(frozen=True)
class _ReadFiles:
    files: tuple[Path, ...]
    channels: int
    dtype: str

    def __call__(self, index: int, at_least: int | None = None) -> Pixels:
        path = self.files[index]
        pixels = read_picture(path, at_least).on_white()
        try:
            return with_dtype(with_channels(pixels, self.channels), self.dtype)
        except UserError as error:
            raise UnreadableImage(path, str(error).split(";")[0]) from None


@dataclass(frozen=True)
class _ReadArray:
    pictures: Pictures

    def __call__(self, index: int, at_least: int | None = None) -> Pixels:  # noqa: ARG002
        return self.pictures[index]


@dataclass(frozen=True)
class _ReadSome:
    read: Read
    kept: tuple[int, ...]

    def __call__(self, index: int, at_least: int | None = None) -> Pixels:
        return self.read(self.kept[index], at_least)


def _images_in(folder: Path, flag: str) -> list[Path]:
    if not folder.exists():
        raise UserError(f'no folder "{folder}"; check the path given with {flag}')
    if not folder.is_dir():
        raise UserError(f'"{folder}" is a file; give a folder of pictures with {flag}')
    images = list_images(folder)
    if not images:
        looked = " ".join(sorted(IMAGE_SUFFIXES))
        raise UserError(
            f'no images in "{folder}" (looked for {looked}); check the path given with {flag}'
        )
    return images


def _assemble(
    name: str,
    splits: list[tuple[Path, list[Path], list[Path]]],
    channels_x: int | None,
    channels_y: int | None,
) -> DataSet:
    domains: list[Domain] = []
    skipped: list[tuple[str, str]] = []
    for (root, train, test), channels in zip(splits, (channels_x, channels_y)):
        readable, found, dtype, bad = _check(root, train, channels)
        skipped += bad
        test_root = (
            root.parent / root.name.replace("train", "test") if root.name in _TRAIN else root
        )
        for files, at in ((readable, root), (test, test_root)):
            domains.append(file_domain(files, at, found, dtype))
    train_x, test_x, train_y, test_y = domains
    stems = [[Path(n).with_suffix("").as_posix() for n in d.names] for d in (test_x, test_y)]
    paired = bool(stems[0]) and stems[0] == stems[1]
    return DataSet(name, train_x, train_y, test_x, test_y, paired, tuple(skipped))


_TRAIN = {layout[i] for layout in LAYOUTS for i in (0, 1)}


def _check(
    root: Path, files: list[Path], channels: int | None
) -> tuple[list[Path], int, str, list[tuple[str, str]]]:
    """(readable files, channels, dtype, skipped) from the headers of up to `PROBED` files.

    Unless `channels` are asked for, they are what most files have.
    """
    stride = max(1, len(files) // PROBED)
    sample = files[::stride]
    with ThreadPoolExecutor(8) as pool:
        results = dict(zip(sample, pool.map(_probe, sample)))
    bad = {file: result for file, result in results.items() if isinstance(result, str)}
    kinds = {file: result for file, result in results.items() if not isinstance(result, str)}
    have = Counter(number for number, _ in kinds.values())
    if not channels and have:
        # grey fits in colour, not the other way round
        channels = 3 if set(have) == {1, 3} else have.most_common(1)[0][0]
    for file, (number, _) in kinds.items():
        if number != channels and {number, channels} != {1, 3}:
            bad[file] = f"it has {number} channels, not {channels}"
    if len(bad) == len(sample):
        first = next(iter(bad))
        raise UserError(
            f'none of the {len(sample)} files in "{root}" can be read ({first.name}: {bad[first]});'
            " check that they are pictures"
        )
    if len(bad) > UNREADABLE_SHARE * len(sample):
        first = next(iter(bad))
        raise UserError(
            f'{len(bad)} of {len(sample)} files in "{root}" can\'t be read ({first.name}: '
            f"{bad[first]}), over {UNREADABLE_SHARE:.0%}; mend or remove them"
        )
    assert channels
    good = [dtype for file, (_, dtype) in kinds.items() if file not in bad]
    dtype = "uint16" if "uint16" in good else "uint8"
    skipped = [(printable(str(file)), reason) for file, reason in bad.items()]
    return [file for file in files if file not in bad], channels, dtype, skipped


def printable(name: str) -> str:
    """A file's name as it can be written anywhere, though it be no valid UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def _probe(path: Path) -> tuple[int, str] | str:
    try:
        return probe(path)
    except UnreadableImage as error:
        return error.reason


def _named(data: str, name: str, rest: str) -> DataSet:
    tiles = NAMED_SETS[name](rest)

    def domain(pictures: Pictures, split: str) -> Domain:
        read = _ReadArray(pictures)
        return Domain(tiles.names[split], read, pictures.shape[3], str(pictures.dtype))

    return DataSet(
        data,
        domain(tiles.train_x, "train_x"),
        domain(tiles.train_y, "train_y"),
        domain(tiles.test_x, "test"),
        domain(tiles.test_y, "test"),
        paired_test=True,
    )
