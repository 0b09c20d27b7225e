"""Who stands in the paper's tables, and how each is trained."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Contender:
    """A row of the tables: what it is called, and how it is trained."""

    label: str
    method: str
    presets: tuple[str, ...] = ()


CONTENDERS = {
    "cogan": Contender("CoGAN", "cogan"),
    "bigan": Contender("BiGAN / ALI", "bigan"),
    "simgan": Contender("SimGAN", "simgan"),
    "feature_gan": Contender("feature loss + GAN", "feature_gan"),
    "cyclegan": Contender("CycleGAN", "cyclegan"),
    "cut": Contender("CUT", "cut"),
    "fastcut": Contender("FastCUT", "fastcut"),
    "pix2pix": Contender("pix2pix (pairs)", "pix2pix"),
    "cycle-alone": Contender("cycle alone", "cyclegan", ("cycle-alone",)),
    "gan-alone": Contender("GAN alone", "cyclegan", ("gan-alone",)),
    "gan-forward-cycle": Contender("GAN + forward cycle", "cyclegan", ("gan-forward-cycle",)),
    "gan-backward-cycle": Contender("GAN + backward cycle", "cyclegan", ("gan-backward-cycle",)),
}
"""By the name of their run folders, in the order of the paper's tables."""

BASELINES = ("cogan", "bigan", "simgan", "feature_gan", "cyclegan", "cut", "fastcut", "pix2pix")
ABLATIONS = ("cycle-alone", "gan-alone", "gan-forward-cycle", "gan-backward-cycle", "cyclegan")
TABLES = {"1": BASELINES, "2": BASELINES, "3": BASELINES, "4": ABLATIONS, "5": ABLATIONS}
"""Who stands in which of the paper's tables (CUT and FastCUT came later)."""
TO_PHOTO: dict[str, bool] = {"2": True, "3": False, "4": True, "5": False}
"""Whether a table is about labels -> photo; the others are about photo -> labels."""
