"""The options of `unpaired translate`, for pictures, films, pipes and many processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional

from unpaired.cli.outputs import check_writable
from unpaired.errors import UserError

if TYPE_CHECKING:
    from unpaired.translation.translator import Translator


@dataclass(frozen=True)
class TranslateOptions:
    """Turn pictures into the other domain. Output size = input size; inputs are never touched."""

    run: Annotated[Positional[str], tyro.conf.arg(metavar="RUN")]
    """Run folder, checkpoint folder, file from `unpaired export`, weights from elsewhere (.pth,
    .safetensors), a published model (horse2zebra, ...; `unpaired import --list`), or user/name of
    the Hugging Face Hub."""
    inputs: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="PICTURES...")]
    """Pictures and folders; sub-folders are kept. Or one film. Or URLs (s3://, gs://, ...), or tar
    shards: data-{000..123}.tar. Or - for one picture from standard input."""
    out: Annotated[str, tyro.conf.arg(metavar="DIR")]
    """Folder or URL for the results; of a film, a file: .mp4, .mov, .mkv or .webm; - for
    one picture to standard output, which an input - has by default."""
    direction: Literal["x2y", "y2x"] | None = None
    """Default: the run's first."""
    batch: int = 1
    """Pictures of equal size translated at once."""
    overwrite: bool = False
    """Do again what is already there."""
    checkpoint: str = "latest"
    """latest, best, or a step number."""
    format: Literal["png", "tif", "jpg", "webp", "bmp"] | None = None
    """Default: png, or tif where png can't hold the result."""
    tiles: Literal["auto", "exact", "fast", "off"] = "auto"
    """Large pictures in pieces: exact (the whole picture's numbers) or fast (nearly those); auto is
    exact beyond 4 million pixels."""
    smooth: float = 0.0
    """Films: share of the past in the norms' statistics, against flicker; 0.9 is a good start."""
    backend: Literal["auto", "torch", "openvino", "onnx"] = "auto"
    """What computes; auto: OpenVINO where it is installed and no GPU is there, else torch."""
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    ray: int | None = None
    """Through Ray, with so many actors; RAY_ADDRESS names the cluster."""
    json: str | None = None
    """Write the summary to this file."""

    def __post_init__(self) -> None:
        if not self.inputs:
            raise UserError("no pictures to translate; name files or folders after the run")
        if self.batch < 1:
            raise UserError(f"--batch is {self.batch}; give 1 or more")
        if self.ray is not None and self.ray < 1:
            raise UserError(f"--ray is {self.ray}; give the number of actors, 1 or more")
        check_writable(self.json)

    def check_still(self) -> None:
        """Raises: UserError for an option that only films have."""
        if self.smooth:
            raise UserError("--smooth is for films; give an --out that ends in .mp4")

    def translator(self) -> Translator:
        """The run, opened as asked. Raises: UserError as `Translator.load`."""
        from unpaired.translation.translator import Translator

        return Translator.load(
            self.run,
            checkpoint=self.checkpoint,
            device=self.device,
            precision=self.precision,
            backend=self.backend,
        )
