"""One file per system of the literature, and the dictionary of their names."""

from collections import ChainMap
from collections.abc import Mapping

from unpaired.methods.base import Method
from unpaired.methods.bigan import BiGAN
from unpaired.methods.cogan import CoGAN
from unpaired.methods.cut import CUT, FastCUT
from unpaired.methods.cyclegan import CycleGAN
from unpaired.methods.feature_gan import FeatureGAN
from unpaired.methods.imported import Imported
from unpaired.methods.pix2pix import Pix2Pix
from unpaired.methods.simgan import SimGAN
from unpaired.methods.uvcgan import UVCGAN

METHODS: dict[str, type[Method]] = {
    "cyclegan": CycleGAN,
    "uvcgan": UVCGAN,
    "bigan": BiGAN,
    "cogan": CoGAN,
    "cut": CUT,
    "fastcut": FastCUT,
    "feature_gan": FeatureGAN,
    "pix2pix": Pix2Pix,
    "simgan": SimGAN,
}

KINDS: Mapping[str, type[Method]] = ChainMap({Imported.name: Imported}, METHODS)
"""What a run can be of: a method that was trained, one registered later too, or weights from
elsewhere."""

__all__ = [
    "CUT",
    "KINDS",
    "METHODS",
    "UVCGAN",
    "BiGAN",
    "CoGAN",
    "CycleGAN",
    "FastCUT",
    "FeatureGAN",
    "Imported",
    "Method",
    "Pix2Pix",
    "SimGAN",
]
