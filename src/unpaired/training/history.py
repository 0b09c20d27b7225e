"""The history buffer of generated images that a discriminator is shown."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class History:
    """The last `capacity` generated images (Shrivastava et al. 2017; CycleGAN sec. 4: 50).

    While it fills, every image is stored and shown as it is. Once full, with probability 1/2 an
    image is swapped for a stored one, else shown itself. Exchanges take effect by `commit`;
    `forget` undoes them, so that a step that is thrown away leaves no trace.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.images: list[Tensor] = []  # each (C, H, W), detached
        self._pending: list[Tensor] | None = None

    def exchange(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """What to show the discriminator for `images` (N, C, H, W): same shape and dtype."""
        if self.capacity == 0:
            return images
        stored = list(self.images if self._pending is None else self._pending)
        shown = []
        for image in images:
            if len(stored) < self.capacity:
                stored.append(image.clone())
                shown.append(image)
            elif rng.random() < 0.5:
                place = int(rng.integers(self.capacity))
                shown.append(stored[place])
                stored[place] = image.clone()
            else:
                shown.append(image)
        self._pending = stored
        return torch.stack(shown)

    def commit(self) -> None:
        """Keep what the exchanges since the last commit stored."""
        if self._pending is not None:
            self.images, self._pending = self._pending, None

    def forget(self) -> None:
        """Undo the exchanges since the last commit."""
        self._pending = None

    def state(self) -> Tensor:
        """All stored images, (k, C, H, W), k <= capacity; shape (0,) when empty."""
        return torch.stack(self.images) if self.images else torch.empty(0)

    def restore(self, state: Tensor) -> None:
        """Take the images of an earlier `state()`."""
        self.images, self._pending = list(state.unbind()) if state.dim() > 1 else [], None
