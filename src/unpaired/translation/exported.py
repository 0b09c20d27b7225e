"""Translating with exported files; without torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unpaired.errors import UserError
from unpaired.training.card import Card
from unpaired.translation.base import BaseTranslator
from unpaired.translation.exporting.sessions import Session

if TYPE_CHECKING:  # they bring torch
    from unpaired.methods.base import Direction
    from unpaired.translation.network import TorchTranslator


class ExportedTranslator(BaseTranslator):
    """A file per direction, each opened when it is first needed."""

    def __init__(
        self,
        card: Card,
        smallest: int,
        open_session: Callable[[Direction], Session],
        original: Callable[[], TorchTranslator] | None = None,
    ) -> None:
        """Args: original: gives the run in torch; None: there is only a file."""
        super().__init__(card, smallest)
        self.open_session, self.original = open_session, original
        self.sessions: dict[Direction, Session] = {}
        self.twin: TorchTranslator | None = None

    def session(self, direction: Direction) -> Session:
        """The open file of a direction."""
        if direction not in self.sessions:
            self.sessions[direction] = self.open_session(direction)
        return self.sessions[direction]

    def open(self, direction: Direction) -> None:
        self.session(direction)

    @property
    def computes(self) -> str:  # type: ignore[override]
        used = {session.computes: None for session in self.sessions.values()}
        if self.twin:
            used[self.twin.computes] = None
        return ", ".join(used)

    def in_torch(self) -> TorchTranslator:
        if self.original is None:
            raise UserError(
                "an exported file translates whole pictures of up to 4 million pixels, without "
                "--smooth; give the run folder for more"
            )
        if self.twin is None:
            self.twin = self.original()
        return self.twin

    def run(self, images: NDArray[np.float32], direction: Direction) -> NDArray[np.float32]:
        session = self.session(direction)
        planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        return session(planes).transpose(0, 2, 3, 1)


class InTorch:
    """What takes the place of a file that could not be made."""

    def __init__(self, translator: TorchTranslator, direction: Direction) -> None:
        self.translator, self.direction = translator, direction
        self.computes = translator.computes

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, C, H, W) -> (N, C', H, W)."""
        pixels = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        return self.translator.run(pixels, self.direction).transpose(0, 3, 1, 2)
