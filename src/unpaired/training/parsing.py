"""Plain values to frozen dataclasses, checked by their annotations."""

from __future__ import annotations

import dataclasses
from typing import Any

from pydantic import TypeAdapter, ValidationError

from unpaired.errors import UserError


def parse(kind: type, tree: Any, source: str) -> Any:
    """A dataclass of type `kind` from plain values, checked by its annotations.

    Raises: UserError that names `source` and the key.
    """
    if not isinstance(tree, dict):
        raise UserError(f"{source}: expected keys and values, found {type(tree).__name__}")
    known = {f.name for f in dataclasses.fields(kind)}
    if unknown := sorted(set(tree) - known):
        raise UserError(
            f'{source}: unknown key "{unknown[0]}"; known are {", ".join(sorted(known))}'
        )
    for part in dataclasses.fields(kind):
        default = part.default_factory if callable(part.default_factory) else None
        if part.name in tree and isinstance(default, type) and isinstance(tree[part.name], dict):
            tree = {**tree, part.name: parse(default, tree[part.name], f"{source}: {part.name}")}
    try:
        return TypeAdapter(kind).validate_python(tree)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(place) for place in first["loc"]) or "value"
        raise UserError(f"{source}: {where}: {first['msg'].lower()}") from None
