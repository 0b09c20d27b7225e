"""A tiny run that was never trained, and its export, made once for all tests of a process."""

from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import torch
from torch import nn

from tests.translation.fakes import card
from unpaired.methods import METHODS, Method
from unpaired.methods.cyclegan import CycleGANConfig
from unpaired.networks import DiscriminatorConfig, GeneratorConfig
from unpaired.training.card import Card
from unpaired.training.checkpoint import TENSOR_FILES, State, save_checkpoint
from unpaired.training.config import to_dict
from unpaired.translation.exporting.export import export


def tiny_method(**generator: object) -> tuple[Method, Card]:
    """A CycleGAN whose weights make a difference, from grey (16 bits) to colour."""
    torch.manual_seed(0)
    settings = CycleGANConfig(
        filters=4,
        blocks=1,
        generator=GeneratorConfig(init="kaiming", **generator),  # type: ignore[arg-type]
        discriminator=DiscriminatorConfig(filters=2, layers=1),
    )
    method = METHODS["cyclegan"](settings, channels_x=1, channels_y=3, size=16).eval()
    shake(method)
    about = card(
        method="cyclegan",
        settings=to_dict(settings),
        channels_x=1,
        dtype_x="uint16",
        multiple=method.multiple,
        step=7,
    )
    return method, about


def shake(network: nn.Module) -> None:
    """Biases, scales and running statistics that are not all 0 or 1."""
    for tensor in [*network.parameters(), *network.buffers()]:
        if tensor.ndim < 2 and tensor.is_floating_point():
            tensor.data.add_(0.2 * torch.rand_like(tensor))


def write_run(folder: Path) -> Path:
    """A run folder with one checkpoint."""
    method, about = tiny_method()
    tensors = {name: {} for name in TENSOR_FILES}
    tensors["weights"] = dict(method.state_dict())
    save_checkpoint(folder, about, State(tensors, {}))
    return folder


@lru_cache(maxsize=1)
def exported() -> tuple[Path, Path, Path]:
    """The run's folder, and its x2y as .onnx and .xml; for reading only."""
    run = write_run(Path(mkdtemp(prefix="unpaired-tests-")) / "harbour")
    return run, export(run).path, export(run, format="openvino").path
