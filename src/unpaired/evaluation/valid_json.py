"""JSON that every reader takes: it has no word for nan and infinity."""

from __future__ import annotations

import json
import math
from typing import Any


def finite(tree: Any) -> Any:
    """The same tree of dictionaries and lists, None where a number is nan or infinite."""
    if isinstance(tree, dict):
        return {key: finite(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [finite(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree


def json_text(tree: Any) -> str:
    """As text, null where a number is nan or infinite."""
    return json.dumps(finite(tree), indent=1, allow_nan=False)
