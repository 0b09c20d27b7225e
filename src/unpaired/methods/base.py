"""What a method is: networks, players, what each player minimises. The trainer owns the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

Batch = dict[str, Tensor]
Losses = dict[str, Tensor]
Direction = Literal["x2y", "y2x"]


class Method(nn.Module, ABC):
    """One system of the literature.

    A step of the trainer reads::

        made = method.generate(batch)                       # with gradients
        for player in method.players:
            losses = method.losses(player, batch, made)     # their sum is what `player` minimises
            made = made, detached; the `remembered` entries exchanged with the history buffers

    Gradients are taken for the player's own parameters only, and all players step together at the
    end, so that a loss or gradient that is not finite stops every one of them.

    Attributes:
        name: the word on the command line.
        title: what people call it.
        Config: frozen dataclass of the method's own settings; defaults are its paper's.
        players: who takes steps, in order; the first owns the networks that translate.
        directions: the ways it can translate.
        remembered: names in `generate`'s result that later players see through a history buffer
            (Shrivastava et al. 2017), so that they don't forget what they were shown.
        paired: batch["x"][i] and batch["y"][i] show one thing, cropped alike; needs aligned data.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    Config: ClassVar[type]
    players: ClassVar[tuple[str, ...]]
    directions: ClassVar[tuple[Direction, ...]]
    remembered: ClassVar[tuple[str, ...]] = ()
    paired: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, settings: Any, *, channels_x: int, channels_y: int, size: int) -> None:
        """Build every network, sized and initialised (from torch's global generator)."""
        super().__init__()

    @abstractmethod
    def networks(self, player: str) -> list[nn.Module]:
        """The networks whose parameters `player` changes."""

    @abstractmethod
    def generate(self, batch: Batch) -> dict[str, Tensor]:
        """What the networks make of `batch`, by the paper's names: (N, C, H, W) in [-1, 1].

        What chance decided on the way (whether an image was flipped) belongs to it too, so that
        nothing travels from here to `losses` but the result.
        """

    def prepare(self) -> str | None:
        """Load what training alone needs, such as a frozen feature net; called once, before a run.

        It is held in buffers that are not persistent: never in a checkpoint, not needed to
        translate. Returns: a line for the log that says what was loaded.
        """
        return None

    @abstractmethod
    def losses(self, player: str, batch: Batch, made: dict[str, Tensor]) -> Losses:
        """The weighted terms that `player` minimises: float32 scalars; absent if switched off."""

    @abstractmethod
    def translate(self, images: Tensor, direction: Direction) -> Tensor:
        """Translate (N, C, H, W) in [-1, 1]; H and W must be multiples of `self.multiple`."""

    @property
    @abstractmethod
    def multiple(self) -> int:
        """Sides of an input to `translate` must be multiples of this many pixels."""

    def translators(self) -> dict[str, nn.Module]:
        """The networks that translate, by the names of their attributes."""
        if not self.players:
            return dict(self.named_children())
        own = self.networks(self.players[0])
        return {name: m for name, m in self.named_children() if any(m is one for one in own)}
