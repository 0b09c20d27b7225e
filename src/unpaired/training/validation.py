"""The validation share, what a judge is shown of it, and what the judge says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from torch import Tensor

from unpaired.data.domains import Domain
from unpaired.errors import UserError
from unpaired.methods.base import Direction
from unpaired.training.randomness import derived

Translate = Callable[[Tensor, Direction], Tensor]


@dataclass(frozen=True)
class Seen:
    """What a judge is given at one evaluation."""

    translate: Translate
    """As `Method.translate`, with the weights that will be used."""
    x: Tensor
    """The held-out pictures of X: (N, C, H, W) float32 in [-1, 1]."""
    y: Tensor
    """The held-out pictures of Y, in the same form; never the test split."""
    directions: tuple[Direction, ...]
    """The ways the method translates."""
    losses: dict[str, list[float]]
    """The losses logged since the last evaluation, by name, oldest first."""
    step: int
    change: float | None = None
    """Largest change of a translating weight since the last evaluation of this session."""
    adversarial: str | None = None
    """Name of the adversarial loss (a key of `losses.ADVERSARIAL`), if the method has one."""


class Finding(NamedTuple):
    """Something that goes wrong in one direction, and what to do about it."""

    name: str
    """One word with underscores: mode_collapse."""
    severity: Literal["warning", "notice"]
    evidence: str
    """What was seen, with the number."""
    advice: str
    direction: Direction


@dataclass(frozen=True)
class Judgement:
    """What one evaluation says."""

    score: float
    """What chooses the best checkpoint: lower is better; not finite: can't be the best."""
    numbers: dict[str, float] = field(default_factory=dict)
    """What is logged beside it: `kid_x2y`, and its standard error `kid_x2y_error`."""
    findings: tuple[Finding, ...] = ()


Judge = Callable[[Seen], Judgement]


def hold_out(domain: Domain, seed: int, name: str) -> tuple[Domain, Domain]:
    """(the rest, a tenth of the images, at most 200): the validation share, by the run's seed."""
    order = derived(seed, f"validation {name}").permutation(len(domain.names))
    count = min(200, len(order) // 10)
    if count < 2:
        raise UserError(
            f"--evaluate-every holds a tenth of the images out, but domain {name.upper()} has only "
            f"{len(order)}; give 20 or more, or drop it"
        )
    return domain.subset(sorted(order[count:])), domain.subset(sorted(order[:count]))
