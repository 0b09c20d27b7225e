"""The history buffer of generated images that a discriminator is shown."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class History:
    """The last `capacity` generated images (Shrivastava et al. 2017; CycleGAN sec. 4: 50).

    While it fills, every image is stored and shown as it is. Once full, with probability 1/2 an
    image is swapped for a stored one, else shown itself. `settle` ends a step: it keeps the
    exchanges, or undoes them, so that a step that is thrown away leaves no trace.

    Which steps were thrown away, and so how full the buffer is, only the device knows. Nothing here
    branches on it: an image's place is computed for either case, and one of the two taken.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._images: Tensor | None = None  # (capacity + 1, C, H, W); the last is thrown away
        self._filled = self._filled_before = torch.zeros(1, dtype=torch.int64)
        self._replaced: list[tuple[Tensor, Tensor]] = []  # (place, what was there), to undo

    def exchange(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """What to show the discriminator for `images` (N, C, H, W): same shape and dtype."""
        if self.capacity == 0:
            return images
        stored = self._storage(images)
        nowhere = self.capacity
        drawn = [int(rng.integers(nowhere)) if rng.random() < 0.5 else nowhere for _ in images]
        swaps = torch.tensor(drawn).to(images.device, non_blocking=True)

        number = torch.arange(len(images), device=images.device)
        room = (self.capacity - self._filled).clamp(max=len(images))  # (1,)
        fills = number < room
        at = torch.where(fills, self._filled + number, swaps[(number - room).clamp(min=0)])
        itself = (fills | (at == nowhere)).view(-1, 1, 1, 1)
        self._filled = self._filled + room

        shown = []
        for image, place, new in zip(*(torch.split(t, 1) for t in (images, at, itself))):
            old = stored.index_select(0, place)
            shown.append(torch.where(new, image, old))
            stored.index_copy_(0, place, image)
            self._replaced.append((place, old))
        return torch.cat(shown)

    def settle(self, keep: Tensor) -> None:
        """Keep what the exchanges since the last call stored, or undo them.

        Args: keep: a boolean scalar on the device of the images.
        """
        if self._images is None:
            return
        for place, old in reversed(self._replaced):
            now = self._images.index_select(0, place)
            self._images.index_copy_(0, place, torch.where(keep, now, old))
        self._filled = self._filled_before = torch.where(keep, self._filled, self._filled_before)
        self._replaced = []

    def state(self) -> Tensor:
        """All stored images, (k, C, H, W), k <= capacity; shape (0,) when empty."""
        filled = int(self._filled)
        return torch.empty(0) if self._images is None or not filled else self._images[:filled]

    def restore(self, state: Tensor) -> None:
        """Take the images of an earlier `state()`, on the device that they are to be on."""
        self._images, self._replaced = None, []
        if state.dim() > 1:
            self._storage(state)[: len(state)] = state
            self._filled = self._filled_before = self._filled + len(state)

    def _storage(self, images: Tensor) -> Tensor:
        """The stored images, made at the first use, in the dtype of `images`."""
        if self._images is None:
            _, *size = images.shape
            blank = images.new_zeros((self.capacity + 1, *size))
            self._images = blank.to(memory_format=torch.channels_last)
            self._filled = self._filled_before = torch.zeros(
                1, dtype=torch.int64, device=images.device
            )
        self._images = self._images.to(images.dtype)
        return self._images
