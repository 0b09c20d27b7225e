"""Which files belong to which domain and split: the layouts of folders that we know."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unpaired.data.decode import IMAGE_SUFFIXES
from unpaired.data.halves import Half
from unpaired.data.pairs import WANTED, Reasons, bare_name, partners
from unpaired.errors import UserError

FOLDERS = (("trainA", "trainB", "testA", "testB"), ("trainX", "trainY", "testX", "testY"))


@dataclass(frozen=True)
class Files:
    """The files of one domain, by their names; none was opened yet.

    Attributes:
        train_root, test_root: what the pictures' names are relative to.
        half: the half of every picture that is meant; None: all of it.
    """

    train: tuple[Path, ...]
    train_root: Path
    test: tuple[Path, ...]
    test_root: Path
    half: Half | None = None


@dataclass(frozen=True)
class Layout:
    """Two domains on disk.

    Attributes:
        name: what people call the whole.
        paired: training files at the same index are pairs, and so are test files.
        paired_test: test files at the same index are pairs.
        alone: files that are left out because they have no partner, and why.
    """

    name: str
    x: Files
    y: Files
    paired: bool
    paired_test: bool
    alone: Reasons = field(default_factory=dict)


def two_folders(x: Path, y: Path, paired: bool) -> Layout:
    """Two arbitrary folders, split by `held_out`; pairs by the name in X.

    Raises: UserError if a folder is missing, empty, the other one or within it; or has no pairs.
    """
    if x.resolve() == y.resolve():
        raise UserError(f'--x and --y are the same folder, "{x}"; give two')
    for inner, outer in ((x, y), (y, x)):
        if outer.resolve() in inner.resolve().parents:
            raise UserError(
                f'"{inner}" lies in "{outer}", whose sub-folders are searched too, so X and Y '
                "would share pictures; give two folders beside each other"
            )
    found_x, found_y, alone = _images_in(x, "--x"), _images_in(y, "--y"), Reasons()
    if paired:
        found_x, found_y, alone = partners(found_x, x, found_y, y)
    test_x = [held_out(f, x, len(found_x)) for f in found_x]
    test_y = test_x if paired else [held_out(f, y, len(found_y)) for f in found_y]
    files = (_split(found_x, x, test_x), _split(found_y, y, test_y))
    # equal names in two folders that nobody called pairs prove nothing
    return Layout(f"{x} and {y}", *files, paired, paired and any(test_x), alone)


def one_folder(root: Path, paired: bool) -> Layout:
    """A folder with trainA and trainB (or trainX and trainY), or with pictures side by side.

    Raises: UserError if it has neither, or no pictures, or not the pairs that are wanted.
    """
    for a, b, test_a, test_b in FOLDERS:
        if (root / a).is_dir() or (root / b).is_dir():
            x, y = (
                Files(
                    tuple(_images_in(root / train, "--data")),
                    root / train,
                    tuple(list_images(root / test)),
                    root / test,
                )
                for train, test in ((a, test_a), (b, test_b))
            )
            return _paired(str(root), x, y) if paired else _by_test_names(str(root), x, y)
    train = list_images(root / "train")
    if any(file.parent == root / "train" for file in train):
        test_root = root / ("test" if (root / "test").is_dir() else "val")
        left, right = (
            Files(tuple(train), root / "train", tuple(list_images(test_root)), test_root, half)
            for half in ("left", "right")
        )
        return Layout(f"{root}, left and right halves", left, right, True, bool(left.test))
    refuse_saved_table(root, "--data")
    raise UserError(
        f'"{root}" has no trainA and trainB (or trainX and trainY), nor pictures side by side in '
        "train; make them, or give the two folders with --x and --y"
        + (f"; {WANTED}" if paired else "")
    )


def refuse_saved_table(folder: Path, flag: str) -> None:
    """Raises: UserError if a data set was saved in `folder` by Hugging Face's `save_to_disk`."""
    if any((folder / name).is_file() for name in ("dataset_dict.json", "state.json")):
        raise UserError(
            f'"{folder}" holds a saved Hugging Face data set; give {flag} hf://{folder}'
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
    return held_out_name(file.relative_to(root).as_posix(), count)


def held_out_name(name: str, count: int) -> bool:
    """`held_out` by the relative name alone."""
    if count < 20:
        return False
    digest = hashlib.sha256(os.fsencode(name)).digest()  # names need not be UTF-8
    return int.from_bytes(digest[:8], "big") % (10 if count < 2000 else 20) == 0


def _paired(name: str, x: Files, y: Files) -> Layout:
    """The pairs of two domains by their names; a test split that one of them lacks is empty."""
    train_x, train_y, alone = partners(x.train, x.train_root, y.train, y.train_root)
    test_x, test_y = list[Path](), list[Path]()
    if x.test and y.test:
        test_x, test_y, more = partners(x.test, x.test_root, y.test, y.test_root)
        alone |= more
    pairs = (
        Files(tuple(train_x), x.train_root, tuple(test_x), x.test_root),
        Files(tuple(train_y), y.train_root, tuple(test_y), y.test_root),
    )
    return Layout(name, *pairs, True, bool(test_x), alone)


def _by_test_names(name: str, x: Files, y: Files) -> Layout:
    """Two domains without pairs, whose test pictures are pairs if all their names are equal."""
    names = [[bare_name(file, files.test_root) for file in files.test] for files in (x, y)]
    return Layout(name, x, y, False, bool(names[0]) and names[0] == names[1])


def _split(files: Sequence[Path], root: Path, test: Sequence[bool]) -> Files:
    return Files(
        tuple(f for f, out in zip(files, test) if not out),
        root,
        tuple(f for f, out in zip(files, test) if out),
        root,
    )


def _images_in(folder: Path, flag: str) -> list[Path]:
    if not folder.exists():
        raise UserError(f'no folder "{folder}"; check the path given with {flag}')
    if not folder.is_dir():
        raise UserError(f'"{folder}" is a file; give a folder of pictures with {flag}')
    images = list_images(folder)
    if not images:
        refuse_saved_table(folder, flag)
        looked = " ".join(sorted(IMAGE_SUFFIXES))
        raise UserError(
            f'no images in "{folder}" (looked for {looked}); check the path given with {flag}'
        )
    return images
