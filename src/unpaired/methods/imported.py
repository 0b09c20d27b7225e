"""Generators that were trained elsewhere: they translate, and can't be trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

from torch import Tensor, nn

from unpaired.errors import UserError
from unpaired.methods.base import Batch, Direction, Losses, Method
from unpaired.networks.layout import Layout, build

NOT_TRAINED = (
    "imported weights translate, but can't be trained: their file holds no discriminator and no "
    "optimizer; train a method of your own: unpaired train --help"
)


@dataclass(frozen=True)
class Foreign:
    """One generator, and the file that it came in."""

    layout: Layout
    file: str
    """Its name, or the address it was downloaded from."""
    sha256: str
    part: str = ""
    """Which of the file's networks; empty: its only one."""


@dataclass(frozen=True)
class ImportedConfig:
    """What the run was made of."""

    G: Foreign
    """X -> Y."""
    F: Foreign | None = None
    """Y -> X, of another file."""


class Imported(Method):
    """G: X -> Y of a file of weights, and F: Y -> X if there was a second one.

    Attributes:
        directions: one, unless there is F.
    """

    name = "imported"
    title = "imported weights"
    Config: ClassVar[type] = ImportedConfig
    players = ()
    directions: tuple[Direction, ...] = ("x2y",)  # type: ignore[misc]  # as many as there are files

    def __init__(
        self, settings: ImportedConfig, *, channels_x: int, channels_y: int, size: int
    ) -> None:
        """Build G, and F.

        Raises: UserError if their channels aren't those of the domains.
        """
        super().__init__(settings, channels_x=channels_x, channels_y=channels_y, size=size)
        x, y = channels_x, channels_y
        for foreign, ends in ((settings.G, (x, y)), (settings.F, (y, x))):
            if foreign is None:
                continue
            layout = foreign.layout
            if (layout.channels_in, layout.channels_out) != ends:
                raise UserError(
                    f'"{foreign.file}" translates {layout.channels_in} channels to '
                    f"{layout.channels_out}, but {ends[0]} to {ends[1]} are needed"
                )
        self.G = build(settings.G.layout)
        self.F = build(settings.F.layout) if settings.F else None
        if self.F:
            self.directions = ("x2y", "y2x")

    def networks(self, player: str) -> list[nn.Module]:  # noqa: ARG002
        raise UserError(NOT_TRAINED)

    def generate(self, batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002
        raise UserError(NOT_TRAINED)

    def losses(self, player: str, batch: Batch, made: dict[str, Tensor]) -> Losses:  # noqa: ARG002
        raise UserError(NOT_TRAINED)

    def translate(self, images: Tensor, direction: Direction) -> Tensor:
        network = self.F if direction == "y2x" else self.G
        return cast(Any, network)(images)

    @property
    def multiple(self) -> int:
        both = [cast(int, network.multiple) for network in (self.G, self.F) if network]
        return max(both)  # powers of two
