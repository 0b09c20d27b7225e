"""What a generator from elsewhere is made of, and the network built from that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from unpaired.networks.blocks import Norm
from unpaired.networks.resnet import ResNetGenerator
from unpaired.networks.unet import UNetGenerator

MOST = {"filters": 4096, "channels_in": 1024, "channels_out": 1024}
"""More than anyone has a use for; a file that says more is not believed."""
NORMS = {
    "instance": "instance norm",
    "instance-affine": "affine instance norm",
    "batch": "batch norm",
    "none": "no norm",
}


@dataclass(frozen=True)
class Layout:
    """A generator of the authors' CycleGAN, pix2pix or CUT code."""

    kind: Literal["resnet", "unet"]
    channels_in: int
    channels_out: int
    filters: int
    """Of the first layer (ngf)."""
    depth: int
    """Residual blocks of a ResNet, levels of a U-Net."""
    norm: Norm
    """By which it translates."""
    bias: bool
    """Whether the convolutions before a norm have one."""
    dropout: bool = False
    """Between the convolutions of a residual block; off when translating. A U-Net's leaves no trace
    in a file."""
    blur_down: bool = False
    """ResNet: halves with a filter against aliasing, as CUT's."""
    blur_up: bool = False
    """ResNet: doubles with one."""
    statistics: bool = False
    """Whether running statistics of the norms stand in the file; only "batch" uses them."""

    def __post_init__(self) -> None:
        for name, most in MOST.items():
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"{name} is {getattr(self, name)}, not from 1 to {most}")
        least, most = (0, 1000) if self.kind == "resnet" else (2, 10)
        if not least <= self.depth <= most:
            raise ValueError(f"depth is {self.depth}, not from {least} to {most}")

    @property
    def size(self) -> int:
        """Side of the pictures it was made for, in pixels."""
        return 256 if self.kind == "resnet" else 2**self.depth

    def in_words(self) -> str:
        """For people: "ResNet of 9 blocks, 64 filters, 3 -> 3 channels, instance norm"."""
        name = "ResNet of {} block{}" if self.kind == "resnet" else "U-Net of {} level{}"
        parts = [
            name.format(self.depth, "" if self.depth == 1 else "s"),
            f"{self.filters} filters",
            f"{self.channels_in} -> {self.channels_out} channels",
            NORMS[self.norm],
        ]
        if self.statistics and self.norm != "batch":
            parts.append("running statistics not used")
        if self.dropout:
            parts.append("dropout, off when translating")
        if self.blur_down or self.blur_up:
            both = {(True, True): "both ways", (True, False): "on the way down"}
            way = both.get((self.blur_down, self.blur_up), "on the way up")
            parts.append(f"filters against aliasing {way}")
        return ", ".join(parts)


def build(layout: Layout) -> nn.Module:
    """The network: (N, in, H, W) -> (N, out, H, W), both in [-1, 1]; its weights are torch's."""
    ends = layout.channels_in, layout.channels_out
    if layout.kind == "unet":
        return UNetGenerator(
            *ends, layout.filters, layout.depth, layout.norm, layout.dropout, layout.bias
        )
    return ResNetGenerator(
        *ends,
        layout.filters,
        layout.depth,
        layout.norm,
        layout.dropout,
        bias=layout.bias,
        blur_down=layout.blur_down,
        blur_up=layout.blur_up,
    )
