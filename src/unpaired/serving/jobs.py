"""What goes from the web server to a worker, and what comes back; nothing here brings torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unpaired.translation.output import Format

Asked = Literal["png", "jpeg", "webp", "tiff"]
FORMATS: dict[Asked, Format] = {"png": "png", "jpeg": "jpg", "webp": "webp", "tiff": "tif"}
MEDIA: dict[Format, str] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "tif": "image/tiff",
}


@dataclass(frozen=True)
class Model:
    """A run that is served, as its worker found it."""

    name: str
    method: str
    data: str
    """What it was trained on, in words."""
    step: int
    directions: tuple[str, ...]
    channels: dict[str, tuple[int, int]]
    """By direction: into the network, and out of it."""
    computes: str
    """By what and in which numbers: "OpenVINO in bf16"."""


@dataclass(frozen=True)
class Describe:
    """Asks for the models."""

    deadline: float


@dataclass(frozen=True)
class Job:
    """One picture to translate."""

    model: str
    direction: str
    format: Format | None
    content: bytes
    """The uploaded file."""
    size: tuple[int, int]
    """(width, height) by its header."""
    deadline: float
    """By `time.monotonic`: when nobody waits for it to begin any more."""


@dataclass(frozen=True)
class Answer:
    """What became of a job: a picture if `status` is 200, else why not, in a sentence."""

    status: int
    content: bytes | str
    media: str = ""
    batch: int = 0
    """How many pictures went together, told by the first of them; the others tell 0."""
    seconds: float = 0.0
    """That their batch took, told in the same way."""
    models: tuple[Model, ...] = ()
    """The answer to `Describe`."""

    @property
    def ok(self) -> bool:
        return self.status == 200


TOO_LATE = Answer(
    504, "The picture was not begun in time, as others came before it. Please try again later."
)
TOO_LONG = Answer(504, "Translating the picture took too long. A smaller one may work.")
WORKER_DIED = Answer(
    503, "The process that translated the picture ended unexpectedly. Please try again."
)
NO_MEMORY = Answer(503, "There was not enough memory for the picture. A smaller one may work.")
BROKEN = Answer(500, "Something went wrong. The server's log says what.")
