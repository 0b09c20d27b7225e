"""One file per system of the literature, and the dictionary of their names."""

from unpaired.methods.base import Method
from unpaired.methods.cyclegan import CycleGAN

METHODS: dict[str, type[Method]] = {
    CycleGAN.name: CycleGAN,
}

__all__ = ["METHODS", "CycleGAN", "Method"]
