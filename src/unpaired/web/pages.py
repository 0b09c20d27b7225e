"""Templates to pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jinja2
from starlette.responses import HTMLResponse, Response


def pages(package: str, **always: Any) -> Callable[..., Response]:
    """A function (name, status=200, **values) that renders a template of the package.

    Whatever is put in is escaped. Args: always: values that every template has.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def page(name: str, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(environment.get_template(name).render(**always, **values), status)

    return page
