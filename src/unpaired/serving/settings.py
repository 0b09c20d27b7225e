"""The options of `unpaired serve`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from unpaired.data.picture import MAX_PIXELS
from unpaired.errors import UserError


@dataclass(frozen=True)
class Settings:
    """Show trained runs as a web page, with an HTTP interface for programs beside it."""

    runs: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN...")]
    """Run or checkpoint folders, files from `unpaired export`, or user/name of the Hub; NAME=RUN
    gives one a name."""
    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 for all, and then with a token."""
    port: int = 8000
    """Port to listen at."""
    token_file: str | None = None
    """File that holds the token which requests must bring; else $UNPAIRED_TOKEN, if it is set."""
    max_pixels: int = 1 << 24
    """Larger pictures are refused, by their headers; 16.8 million covers the usual phone."""
    max_bytes: int = 32 << 20
    """Larger uploads are refused."""
    queue: int = 32
    """Requests waiting or at work; what comes beyond them is answered 429."""
    batch: int = 4
    """Pictures that go through a network together, where torch computes and they are padded to one
    size."""
    timeout: float = 120.0
    """Seconds that a request may wait for its turn, and seconds that its picture may take then."""
    workers: int = 1
    """Processes that translate, each with all runs in its memory."""
    backend: Literal["auto", "torch", "openvino", "onnx"] = "auto"
    """What computes, as for `unpaired translate`."""
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"

    def __post_init__(self) -> None:
        if not self.runs:
            raise UserError("nothing to serve; name one or more runs")
        least_most = {
            "port": (0, 65535),
            "max_pixels": (1, MAX_PIXELS),
            "max_bytes": (1, 1 << 30),
            "queue": (1, 10_000),
            "batch": (1, 256),
            "timeout": (0.1, 86_400),
            "workers": (1, 64),
        }
        for name, (least, most) in least_most.items():
            value = getattr(self, name)
            if not least <= value <= most:
                option = f"--{name.replace('_', '-')}"
                raise UserError(f"{option} is {value}; give {least} to {most}")
