"""`unpaired serve`."""

from __future__ import annotations

from unpaired.errors import UserError
from unpaired.options import parse
from unpaired.serving.settings import Settings as ServeOptions


def run(arguments: list[str]) -> int:
    """`unpaired serve RUN...`."""
    settings = parse(ServeOptions, arguments, "unpaired serve")
    try:
        from unpaired.serving.serve import serve
    except ModuleNotFoundError as error:
        raise UserError(f"serving needs {error.name}; run: pip install 'unpaired[serve]'") from None
    return serve(settings)
