"""Feature vectors that are taken once per set of pictures, however often it is compared with."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import numpy as np

from unpaired.errors import UserError
from unpaired.evaluation.features import FeatureNet, Features, Pictures

LARGEST = 2_000_000_000  # bytes that the folder may hold; the files not used for longest go first
VERSION = 1  # of the files


def cache_folder() -> Path:
    """Where vectors are kept: $UNPAIRED_CACHE, else unpaired/ in the user's cache folder."""
    if own := os.environ.get("UNPAIRED_CACHE"):
        return Path(own) / "features"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "unpaired" / "features"


class CachedFeatures:
    """A feature net that sees no set of pictures twice, in this process or a later one.

    Vectors are keyed by content: SHA-256 over the net's name, the shape and every pixel. A folder
    that can't be written, or a damaged file, costs the time to take them again and nothing else.

    Args: folder: None: `cache_folder()`.
    """

    def __init__(self, net: FeatureNet, folder: Path | None = None) -> None:
        self.net, self.name = net, net.name
        self.folder = cache_folder() if folder is None else folder
        self.seen: dict[str, Features] = {}

    def __call__(self, pictures: Pictures) -> Features:
        """(N, H, W, 3) uint8 -> (N, D).

        Raises: UserError if a vector is not finite.
        """
        digest = hashlib.sha256(f"{VERSION} {self.name} {pictures.shape}".encode())
        digest.update(np.ascontiguousarray(pictures).tobytes())
        key = digest.hexdigest()
        if key not in self.seen:
            found = self._read(key, len(pictures))
            if found is None:
                found = finite(self.net(pictures), self.name)
                self._write(key, found)
            self.seen[key] = found
        return self.seen[key]

    def _read(self, key: str, count: int) -> Features | None:
        path = self.folder / f"{key}.npy"
        try:
            found: Features = np.load(path, allow_pickle=False)
            path.touch()
        except (OSError, ValueError, EOFError):
            return None
        whole = found.ndim == 2 and len(found) == count and found.dtype == np.float64
        return found if whole and np.isfinite(found).all() else None

    def _write(self, key: str, found: Features) -> None:
        passing = self.folder / f".{key}.{os.getpid()}.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with passing.open("wb") as file:
                np.save(file, found, allow_pickle=False)
            passing.replace(self.folder / f"{key}.npy")
            self._forget_oldest()
        except OSError:
            with contextlib.suppress(OSError):
                passing.unlink()

    def _forget_oldest(self) -> None:
        files = [(path.stat(), path) for path in self.folder.glob("*.npy")]
        total = sum(status.st_size for status, _ in files)
        for status, path in sorted(files, key=lambda one: one[0].st_mtime):
            if total <= LARGEST:
                return
            path.unlink(missing_ok=True)
            total -= status.st_size


def finite(features: Features, name: str) -> Features:
    """The vectors, if every number is finite.

    Raises: UserError that names the net and the first picture whose vector is not.
    """
    bad = np.array([not np.isfinite(row).all() for row in features])
    if bad.any():
        raise UserError(
            f"{name} gave features that are not finite (nan or inf) for {bad.sum()} of {len(bad)} "
            f"pictures, first for picture {int(bad.argmax())}; check the net's weights"
        )
    return features
