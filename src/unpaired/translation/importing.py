"""Weights from elsewhere as an ordinary run folder, which every verb that translates takes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unpaired.errors import UserError, reason_of
from unpaired.methods.imported import Foreign, Imported, ImportedConfig
from unpaired.networks.blocks import Norm
from unpaired.training.card import Card
from unpaired.training.checkpoint import TENSOR_FILES, State, save_checkpoint
from unpaired.training.config import TrainConfig, to_dict, write_yaml
from unpaired.translation.weights import Generator, read_generator
from unpaired.whole import passing_folder


@dataclass(frozen=True)
class Source:
    """A file of weights, and what the user knows of it."""

    path: Path
    called: str
    """How people know it: its name, or the address it came from."""
    part: str | None = None
    norm: Norm | None = None

    def read(self) -> Generator:
        """Raises: UserError as `read_generator`."""
        return read_generator(self.path, self.part, self.norm)


def import_weights(
    source: Source,
    out: Path,
    *,
    back: Source | None = None,
    data: str | None = None,
    x: str | None = None,
    y: str | None = None,
    instead: str = "choose another --out",
) -> ImportedConfig:
    """Write a run folder whose one checkpoint holds the generator of a file.

    Args:
        out: new or empty; whole, or not there.
        back: a second file, for the way from Y to X.
        data, x, y: what `unpaired evaluate` is to score it on, as `unpaired train` takes them.
        instead: what a user does if `out` can't be written.
    Raises: UserError if a file isn't understood, they don't fit each other, or `out` is taken.
    """
    if out.name in ("", ".."):
        raise UserError(f'"{out}" has no name of its own; name a new folder')
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f'"{out}" is not empty; {instead}')
    forth = source.read()
    other = back.read() if back else None
    settings = ImportedConfig(
        _foreign(source, forth), _foreign(back, other) if back and other else None
    )
    size = max(one.layout.size for one in (forth, other) if one)
    config: TrainConfig[Any] = TrainConfig(
        settings=settings,
        method=Imported.name,
        data=data,
        x=x,
        y=y,
        size=size,
        channels_x=forth.layout.channels_in,
        channels_y=forth.layout.channels_out,
        precision="fp32",
    )
    method = Imported(
        settings,
        channels_x=forth.layout.channels_in,
        channels_y=forth.layout.channels_out,
        size=size,
    )
    weights = {f"G.{name}": tensor for name, tensor in forth.state.items()}
    if other:
        weights |= {f"F.{name}": tensor for name, tensor in other.state.items()}
    plain = to_dict(config)
    card = Card(
        method=config.method,
        settings=plain["settings"],
        channels_x=forth.layout.channels_in,
        channels_y=forth.layout.channels_out,
        dtype_x="uint8",
        dtype_y="uint8",
        size=size,
        images=asdict(config.images),
        data=f"unknown; imported from {source.called}",
        directions=method.directions,
        multiple=method.multiple,
        precision=config.precision,
        step=0,
        epoch=0.0,
    )
    tensors = {name: weights if name == "weights" else {} for name in TENSOR_FILES}
    try:
        with passing_folder(out) as passing:
            write_yaml(config, passing / "config.yaml")
            save_checkpoint(passing, card, State(tensors, {}), then=instead)
            if out.is_dir():
                out.rmdir()
            passing.rename(out)
    except OSError as error:
        raise UserError(f'cannot write "{out}": {reason_of(error)}; {instead}') from None
    return settings


def _foreign(source: Source, generator: Generator) -> Foreign:
    return Foreign(generator.layout, source.called, generator.sha256, generator.part)
