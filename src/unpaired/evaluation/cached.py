"""Feature vectors that are taken once per set of pictures, however often it is compared with."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from pathlib import Path

import numpy as np

from unpaired.cache import cache_folder
from unpaired.evaluation.features import FeatureNet, Features, Pictures, finite

LARGEST = 2_000_000_000  # bytes that the folder may hold; the files not used for longest go first
REMEMBERED = 64  # sets whose vectors stay in memory
VERSION = 2  # of the files: NumPy's format, then the SHA-256 of that


class CachedFeatures:
    """A feature net that sees no set of pictures twice, in this process or a later one.

    Vectors are keyed by content: SHA-256 over the net's name, the shape and every pixel. A folder
    that can't be written, or a damaged file, costs the time to take them again and nothing else.

    Args: folder: None: features/ in the cache folder.
    """

    def __init__(self, net: FeatureNet, folder: Path | None = None) -> None:
        self.net, self.name = net, net.name
        self.folder = cache_folder("features") if folder is None else folder
        self.seen: dict[str, Features] = {}

    def __call__(self, pictures: Pictures) -> Features:
        """(N, H, W, 3) uint8 -> (N, D).

        Raises: UserError if a vector is not finite; nothing is kept then.
        """
        digest = hashlib.sha256(f"{VERSION} {self.name} {pictures.shape}".encode())
        digest.update(np.ascontiguousarray(pictures).data)
        key = digest.hexdigest()
        found = self.seen.pop(key, None)
        if found is None:
            found = self._read(key, len(pictures))
        if found is None:
            found = finite(self.net(pictures), self.name)
            self._write(key, found)
        self.seen[key] = found  # now the last, the first to be forgotten are those before it
        while len(self.seen) > REMEMBERED:
            self.seen.pop(next(iter(self.seen)))
        return found

    def _read(self, key: str, count: int) -> Features | None:
        path = self.folder / f"{key}.npy"
        try:
            content = path.read_bytes()
            body, digest = content[:-32], content[-32:]
            if hashlib.sha256(body).digest() != digest:
                return None
            found: Features = np.load(io.BytesIO(body), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        with contextlib.suppress(OSError):  # a folder may be there to read only
            os.utime(path)
        whole = found.ndim == 2 and len(found) == count and found.dtype == np.float64
        return found if whole else None

    def _write(self, key: str, found: Features) -> None:
        passing = self.folder / f".{key}.{os.getpid()}.npy"  # if left behind, it ages as the others
        body = io.BytesIO()
        np.save(body, np.asarray(found, np.float64), allow_pickle=False)
        content = body.getvalue()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            passing.write_bytes(content + hashlib.sha256(content).digest())
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
