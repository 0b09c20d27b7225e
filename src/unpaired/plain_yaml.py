"""YAML as plain values, from files that may come from anyone."""

from __future__ import annotations

from typing import Any

import yaml

MOST = 1 << 20
"""Bytes of text; ours have a few thousand."""


class NotPlainError(ValueError):
    """The text is no YAML, or does more than name plain values; the message says what."""


class _Loader(yaml.SafeLoader):
    """Builds nothing but dictionaries, lists, strings, numbers and dates."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):  # a few of them can stand for 10^9 values
            raise NotPlainError("a *name that stands for what stands elsewhere; write it out")
        return super().compose_node(parent, index)


def read_plain(text: str) -> Any:
    """The values that YAML text names. Raises: NotPlainError."""
    if len(text) > MOST:
        raise NotPlainError(f"{len(text)} characters, which no configuration has")
    try:
        return yaml.load(text, Loader=_Loader)  # a SafeLoader
    except NotPlainError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise NotPlainError(" ".join(str(error).split())[:120]) from None
