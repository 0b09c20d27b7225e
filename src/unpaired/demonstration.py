"""The demonstration: train on the embedded tiles, translate the test split, write the report."""

from __future__ import annotations

from pathlib import Path

from unpaired.errors import UserError
from unpaired.evaluation.reporting.report import write_report
from unpaired.methods.cyclegan import CycleGANConfig
from unpaired.telling import note
from unpaired.training.config import TrainConfig, with_changes
from unpaired.training.presets import apply_preset
from unpaired.training.run import train

DATA = "worldtiles:terrain-aerial"
PRESET = "small"


def demo(
    minutes: float = 10, out: Path = Path("runs/demo"), seed: int = 0, quiet: bool = False
) -> Path:
    """Train for some minutes, then translate and score the whole test split (about one more).

    Writes, beside the files of any run, `translations/x2y`, `translations/y2x`, `numbers.json`
    and `report.html`.

    Args:
        minutes: of training.
        out: the run folder; must be new or empty.
    Returns: the path of report.html.
    Raises: UserError, Interrupted, DivergedError as `train`.
    """
    if not 0 < minutes < float("inf"):
        raise UserError(f"--minutes is {minutes}; give a number above 0")
    out = Path(out)
    config = apply_preset(TrainConfig(settings=CycleGANConfig()), PRESET)
    length = {"steps": None, "epochs": None, "minutes": minutes}
    seen_from_above = {"images.rotate": True}
    config = with_changes(config, {**length, **seen_from_above, "data": DATA, "seed": seed})
    train(config, out, quiet=quiet)
    if not quiet:
        note("translating and scoring the test split ...")
    unit, give = ("minute", "gives") if minutes == 1 else ("minutes", "give")
    about = (
        f"What {minutes:g} {unit} of training from nothing {give}, on real pictures of the Earth "
        "that come with the package."
    )
    page, _ = write_report(out, about=about)
    return page
