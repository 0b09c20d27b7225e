"""Untrained networks whose numbers are those of trained ones, and translators around them."""

import torch
from torch import nn

from tests.translation.fakes import card as about
from unpaired.methods.cyclegan import CycleGAN, CycleGANConfig
from unpaired.networks import GeneratorConfig
from unpaired.translation.network import TorchTranslator

CONFIGS = {
    "resnet": GeneratorConfig(),
    "affine, resize": GeneratorConfig(norm="instance-affine", upsample="resize"),
    "batch norm": GeneratorConfig(norm="batch"),
    "no norm, input skip": GeneratorConfig(norm="none", input_skip=True),
    "one downsampling, dropout": GeneratorConfig(downsamplings=1, dropout=True),
    "no downsampling": GeneratorConfig(downsamplings=0),
    "three downsamplings, no norm": GeneratorConfig(norm="none", downsamplings=3),
    "four downsamplings, batch norm": GeneratorConfig(norm="batch", downsamplings=4),
    "four downsamplings": GeneratorConfig(downsamplings=4),
    "unet": GeneratorConfig(kind="unet", depth=4),
    "unet, batch norm": GeneratorConfig(kind="unet", depth=3, norm="batch"),
}


def livened(network: nn.Module) -> nn.Module:
    """Larger weights, so that the output is no flat grey; norms and biases that do something."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in network.parameters():
            value.mul_(3 if value.ndim > 1 else 1)
            if value.ndim == 1:
                value.add_(0.3 * torch.randn(value.shape, generator=generator))
        for name, value in network.named_buffers():
            if name.endswith("running_var"):
                value.add_(torch.rand(value.shape, generator=generator))
    return network.eval()


def translator(name: str, precision: str = "fp32", filters: int = 6, **changed) -> TorchTranslator:
    """Of a CycleGAN with that generator."""
    torch.manual_seed(0)
    settings = CycleGANConfig(filters=filters, blocks=2, generator=CONFIGS[name])
    method = livened(CycleGAN(settings, channels_x=3, channels_y=3, size=32))
    return TorchTranslator(method, about(size=32, **changed), torch.device("cpu"), precision)
