"""What a card says of its networks, held against the networks and the weights before they are used.

A card may come from anyone: its own digest vouches for no more than that it is whole.
"""

from __future__ import annotations

from pathlib import Path

from unpaired.errors import UserError
from unpaired.methods import Method
from unpaired.training.card import Card

SPARE = 20_000_000
"""Weights of networks that don't translate, beside very small ones that do."""


def check_claims(card: Card, method: Method, there: int, checkpoint: Path) -> None:
    """Refuse a card whose directions or multiple its networks don't have, or of too many weights.

    Networks that were left out of a published checkpoint are smaller than those that translate.

    Args:
        method: what the card describes; on the meta device, so that nothing takes memory.
        there: how many weights lie in the checkpoint.
    Raises: UserError.
    """
    claimed = sum(tensor.numel() for tensor in method.state_dict().values())
    if claimed > SPARE + 8 * there:
        raise UserError(
            f'"{checkpoint}": the card tells of {claimed:,} weights, but there are {there:,}; '
            "it is not what was trained"
        )
    for name, says, has in (
        ("directions", tuple(card.directions), tuple(method.directions)),
        ("multiple", card.multiple, method.multiple),
    ):
        if says != has:
            raise UserError(
                f'"{checkpoint}": the card says {name} {_plain(says)}, but its networks have '
                f"{_plain(has)}; it is not what was trained"
            )


def _plain(value: tuple[str, ...] | int) -> str:
    return " and ".join(value) if isinstance(value, tuple) else f"{value:,}"
