"""The options of a verb, read from the dataclass that it parses into."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints


@dataclasses.dataclass(frozen=True)
class Option:
    """An option, or a positional argument.

    Attributes:
        name: `--loss.cycle`; of a positional the field's name.
        takes: "nothing", "number" or "text".
        choices: the words that it takes, if only these.
        about: its description's first sentence, in one line.
    """

    name: str
    takes: str
    choices: tuple[str, ...] = ()
    about: str = ""

    @property
    def positional(self) -> bool:
        return not self.name.startswith("-")


def options_of(kind: Any) -> list[Option]:
    """All that tyro makes of a dataclass, positionals first; a generic one with its arguments."""
    found = list(_walk(kind, ""))
    return sorted(found, key=lambda option: not option.positional)


def _walk(kind: Any, prefix: str) -> Iterator[Option]:
    plain = get_origin(kind) or kind
    given = dict(zip(getattr(plain, "__parameters__", ()), get_args(kind)))
    hints = get_type_hints(plain, include_extras=True)
    abouts = _docstrings(plain)
    for field in dataclasses.fields(plain):
        hint, marks = _bare(hints[field.name])
        hint = given.get(hint, hint) if isinstance(hint, TypeVar) else hint
        if "Suppress" in marks or "Fixed" in marks:
            continue
        name = marks.get("name", field.name)
        dotted = ".".join(part for part in (prefix, name.replace("_", "-")) if part)
        if dataclasses.is_dataclass(get_origin(hint) or hint):
            yield from _walk(hint, dotted)
            continue
        takes, choices = _values(hint)
        about = abouts.get(field.name, "")
        if "Positional" in marks:
            yield Option(field.name, takes, choices, about)
            continue
        yield Option(f"--{dotted}", takes, choices, about)
        if takes == "nothing":
            head, _, last = dotted.rpartition(".")
            yield Option(f"--{head}.no-{last}" if head else f"--no-{last}", takes, (), about)


def _bare(hint: Any) -> tuple[Any, dict[str, str]]:
    """A type without its annotations, and what these say: tyro's markers, and another name."""
    marks: dict[str, str] = {}
    while get_origin(hint) is Annotated:
        hint, *said = get_args(hint)
        for mark in said:
            name = getattr(mark, "name", None)
            if type(mark).__name__ == "_ArgConfig":
                marks |= {} if name is None else {"name": name}
            else:
                marks[str(mark).rsplit(".", 1)[-1]] = ""
    return hint, marks


def _values(hint: Any) -> tuple[str, tuple[str, ...]]:
    """What an option of this type takes, and the choices."""
    if hint is bool:
        return "nothing", ()
    parts = [hint]
    while any(get_origin(part) in (Union, types.UnionType, tuple, list) for part in parts):
        parts = [inner for part in parts for inner in (get_args(part) or (part,))]
    parts = [part for part in parts if part not in (type(None), Ellipsis)]
    literals = [part for part in parts if get_origin(part) is Literal]
    if literals and len(literals) == len(parts):
        return "text", tuple(str(word) for one in literals for word in get_args(one) if word)
    if set(parts) == {bool}:
        return "text", ("True", "False")
    return ("number" if set(parts) <= {int, float} else "text"), ()


def _docstrings(kind: type) -> dict[str, str]:
    """The first sentence under each field, here or in a class it comes from."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(one):
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        assert isinstance(tree, ast.ClassDef)
        for field, after in zip(tree.body, tree.body[1:]):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            ):
                text = " ".join(str(after.value.value).split())
                found[field.target.id] = re.split(r"\.(?= [A-Z])", text)[0].rstrip(".")
    return found
