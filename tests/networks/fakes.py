"""VGG-16 with random weights, for tests that need its shape and not what it has learned."""

import torch
from torch import nn

from unpaired.networks.vgg import IMAGENET_MEAN, IMAGENET_STD, VGG16

WIDTHS = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512)


def plain_vgg16() -> nn.Sequential:
    """Configuration D, column by column of the paper's table 1, up to the last convolution."""
    torch.manual_seed(0)
    parts: list[nn.Module] = []
    into = 3
    for width in WIDTHS:
        if isinstance(width, str):
            parts.append(nn.MaxPool2d(2))
        else:
            conv = nn.Conv2d(into, width, 3, padding=1)
            nn.init.kaiming_normal_(conv.weight)
            parts += [conv, nn.ReLU()]
            into = width
    return nn.Sequential(*parts).requires_grad_(False)


def random_vgg16() -> VGG16:
    """Ours, with the weights of `plain_vgg16`."""
    convolutions = [part for part in plain_vgg16() if isinstance(part, nn.Conv2d)]
    weights = [(conv.weight.detach(), conv.bias.detach()) for conv in convolutions]
    return VGG16("random", weights, IMAGENET_MEAN, IMAGENET_STD)
