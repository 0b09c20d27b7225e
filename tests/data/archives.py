"""Tiny archives of pictures, honest ones and hostile ones."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def picture(number: int = 0, side: int = 16, suffix: str = "PNG") -> bytes:
    """A file with noise in it, another one for each number."""
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, suffix)
    return content.getvalue()


def files_of(name: str, count: int = 2) -> dict[str, bytes]:
    """What the authors' archives look like: a folder with four others in it."""
    return {
        f"{name}/{split}/{i}.png": picture(10 * place + i)
        for place, split in enumerate(("trainA", "trainB", "testA", "testB"))
        for i in range(count)
    }


def write_zip(path: Path, files: dict[str, bytes], **options) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def plain(name: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), content
