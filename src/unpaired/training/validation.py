"""The validation share: pictures held out of training, which choose the best checkpoint."""

from __future__ import annotations

from unpaired.data.domains import Domain
from unpaired.errors import UserError
from unpaired.training.randomness import derived


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
