"""What the interface says of itself: the shapes of its answers, for its OpenAPI document."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from unpaired.serving.jobs import FORMATS, Model

ABOUT = """Translate pictures by trained networks.

Send a picture file as the body of `POST /v1/translate`; the answer is a picture file of the same
size in pixels, upright and without metadata. Addresses are never fetched, and nothing is stored.
Every refusal is JSON: `{"error": "a sentence"}`."""


class Refusal(BaseModel):
    """Why not."""

    error: str


class Way(BaseModel):
    """A direction: what requests call it, and what people do."""

    name: str
    says: str


class Served(BaseModel):
    """A run that pictures can be sent to."""

    name: str
    method: str
    data: str
    step: int
    directions: list[Way]
    computes: str


class Models(BaseModel):
    """What is served, and the bounds of it."""

    models: list[Served]
    formats: list[str]
    max_pixels: int
    max_bytes: int
    timeout: float


class Health(BaseModel):
    """`ready`: whether a picture sent now would be translated."""

    live: bool
    ready: bool
    workers: int
    queue: int


WHY_NOT = {
    400: "The upload's length can't be read.",
    401: "The token is missing or wrong.",
    403: "Sent by another site's page.",
    404: "No such model.",
    408: "The upload took too long.",
    413: "The file or the picture is too large.",
    422: "The file is no readable picture, or a parameter makes no sense.",
    429: "The queue is full; `Retry-After` says when to come back.",
    500: "A fault of the server's.",
    503: "The models are still being loaded, or the worker ended.",
    504: "The picture was not translated in time.",
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": why} for status, why in WHY_NOT.items()
}
BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
PICTURE: dict[int | str, Any] = {
    200: {
        "description": "The translated picture",
        "content": {f"image/{name}": BINARY for name in FORMATS},
    }
}


def served_as(model: Model) -> Served:
    """What is told of a model."""
    x, y = domains(model.data)
    says = {"x2y": f"{x} → {y}", "y2x": f"{y} → {x}"}
    return Served(
        name=model.name,
        method=model.method,
        data=model.data,
        step=model.step,
        directions=[Way(name=way, says=says[way]) for way in model.directions],
        computes=model.computes,
    )


def domains(data: str) -> tuple[str, str]:
    """What the two domains are called, if the data set's name says it: map-aerial, horse2zebra."""
    if found := re.search(r"(?:^|:)([a-z]+)(?:-|2)([a-z]+)$", data):
        return found[1], found[2]
    return "X", "Y"
