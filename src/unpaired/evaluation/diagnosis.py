"""A doctor for trainings: cheap statistics that name what goes wrong, and what to do about it.

Every detector looks at what one evaluation sees in one direction. Its limits were set between what
real pictures and healthy translations give and what pictures with the fault give (the tests make
such pictures); a finding is a hint to look, not a verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from unpaired.data.decode import Pixels
from unpaired.data.showing import comparable
from unpaired.evaluation.features import Features
from unpaired.evaluation.symptoms import (
    BLOCK,
    colours,
    correlation,
    diversity,
    feature_spread,
    grey,
    lattices,
    spots,
    wasserstein,
)

Severity = Literal["warning", "notice"]

FEWEST = 4  # pictures; fewer tell nothing about a set


@dataclass(frozen=True)
class Sight:
    """What is seen at one evaluation in one direction."""

    inputs: Pixels
    """(N, H, W, C) of the source domain."""
    translated: Pixels
    """(N, H, W, C') of the same pictures."""
    real: Pixels
    """(M, H, W, C') of the target domain."""
    translated_features: Features | None = None
    real_features: Features | None = None
    losses: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """As logged since the last evaluation, oldest first: the discriminator that judges this
    direction as "D", its opponent as "G"."""
    adversarial: str | None = None
    """Kind of the adversarial loss, a key of ADVERSARIAL."""
    change: float | None = None
    """Largest change of a translating weight since the last evaluation."""


@dataclass(frozen=True)
class Finding:
    """A fault, by how much, and what to do."""

    name: str
    severity: Severity
    evidence: str
    advice: str

    @property
    def line(self) -> str:
        """All of it in one line."""
        return f"{self.name.replace('_', ' ')}: {self.evidence}; {self.advice}"


def diagnose(sight: Sight) -> list[Finding]:
    """Every fault that shows; [] if all is well, or there are too few pictures to tell."""
    if min(len(sight.inputs), len(sight.real)) < FEWEST:
        return []
    return [found for detect in DETECTORS.values() if (found := detect(sight)) is not None]


INVERTED = -0.8  # trained runs on the embedded data stay above -0.42


def colour_inversion(sight: Sight) -> Finding | None:
    """Light and dark exchanged: the median correlation of input and output luminance.

    Some domains differ so; then the real pictures are right and the finding can be ignored. Of
    channels that don't compare (fluorescence and colour) nobody can say which is light.
    """
    if not comparable(sight.inputs.shape[3], sight.translated.shape[3]):
        return None
    a, b = grey(sight.inputs), grey(sight.translated)
    flat = (a.std(axis=(1, 2)) < 4) | (b.std(axis=(1, 2)) < 4)
    if (~flat).sum() < FEWEST:
        return None
    value = float(np.median(correlation(a[~flat], b[~flat])))
    if value > INVERTED:
        return None
    return Finding(
        "colour_inversion",
        "warning",
        f"light and dark are exchanged (correlation {value:.2f} of input and translation)",
        "if that is wrong, start again with another --seed or with --loss.identity 5, which mostly "
        "prevents it; training longer seldom mends it",
    )


APART = 10.0  # grey levels between the domains' colours, below which G(x) = x may be right
STUCK = 0.3  # share of that distance; runs that translate stay above 0.7


def identity_collapse(sight: Sight) -> Finding | None:
    """G(x) = x: the pictures change by far less than their colours lie from the target's."""
    if sight.inputs.shape[3] != sight.translated.shape[3]:
        return None
    a, b, real = (colours(p) for p in (sight.inputs, sight.translated, sight.real))
    apart = wasserstein(a, real)
    moved = float(np.abs(a - b).mean())
    if apart < APART or moved > STUCK * apart:
        return None
    return Finding(
        "identity_collapse",
        "warning",
        f"translations are their inputs (changed by {moved:.1f} of 255, while the domains' colours "
        f"lie {apart:.0f} apart)",
        "lower what ties the output to the input (--loss.identity, --loss.cycle or the content "
        "weight), or train longer",
    )


ALIKE = 0.4  # of the real pictures' diversity; runs that translate stay above 0.7


def mode_collapse(sight: Sight) -> Finding | None:
    """All translations alike, though real pictures and inputs are not."""
    made, real = (diversity(p) for p in (sight.translated, sight.real))
    inputs = diversity(sight.inputs)
    if real < 4 or inputs < 4:  # a set of equal pictures has nothing to lose
        return None
    share = made / real
    if sight.translated_features is not None and sight.real_features is not None:
        usual = max(feature_spread(sight.real_features), 1e-12)
        spread = feature_spread(sight.translated_features) / usual
        share = max(share, spread)  # sure only if colours and features agree
    if share > ALIKE or grey(sight.translated).std(axis=(1, 2)).mean() < 2:  # flat: dead_run
        return None
    return Finding(
        "mode_collapse",
        "warning",
        f"translations resemble each other (diversity {share:.2f} of that of real pictures)",
        "raise --loss.cycle, add --history 50, lower --optimizer.lr-discriminators, or start with "
        "another --seed",
    )


CHANCE = {"lsgan": 0.25, "log": 0.69, "hinge": 1.0}
"""A discriminator's loss when it can only guess."""
BEATEN = 0.03  # of that; trained runs stay above 0.16, one that failed has 0.05


def discriminator_wins(sight: Sight) -> Finding | None:
    """The discriminator tells real from fake without effort, over the last half of the losses."""
    values = [v for v in sight.losses.get("D", ()) if np.isfinite(v)]
    chance = CHANCE.get(sight.adversarial or "")
    if chance is None or len(values) < 4:
        return None
    recent = float(np.mean(values[len(values) // 2 :]))
    if recent > BEATEN * chance:
        return None
    return Finding(
        "discriminator_wins",
        "warning",
        f"the discriminator's loss is {recent:.4f}, where guessing gives {chance:g}: it teaches "
        "nothing any more",
        "lower --optimizer.lr-discriminators, give it fewer filters (--discriminator.filters), or "
        "more and rotated pictures",
    )


CHECKERED = 2.5  # times the real pictures' amplitude; translations without a lattice stay below 2.3
LATTICE = 2.0  # grey levels of amplitude, below which nobody sees it


def checkerboard(sight: Sight) -> Finding | None:
    """A lattice of period 2 or 4 pixels, by rows, columns or both, stronger than in real pictures.

    The spectrum at these very waves, taken in blocks of 16 x 16, since the lattice of a network
    comes and goes with what it draws.
    """
    if min(*sight.translated.shape[1:3], *sight.real.shape[1:3]) < BLOCK:
        return None
    made, real = lattices(grey(sight.translated)), lattices(grey(sight.real))
    period, ratio = max(
        ((wave[0], made[wave] / max(real[wave], 0.1)) for wave in made if made[wave] >= LATTICE),
        key=lambda one: one[1],
        default=(0, 0.0),
    )
    if ratio < CHECKERED:
        return None
    return Finding(
        "checkerboard",
        "notice",
        f"a lattice of {period} pixels, {ratio:.0f} times as strong as in real pictures",
        "give --generator.upsample resize, train longer with the rate falling to 0, or look at "
        "averaged weights (--ema 0.999)",
    )


SPOTTED = 4.0  # times the real pictures' strongest spots; trained runs stay below 2.4
SPOT = 50.0  # grey levels that a spot must stand out by


def blobs(sight: Sight) -> Finding | None:
    """Spots of a few pixels, far brighter or darker than all around, in most pictures."""
    made, real = (spots(grey(p)) for p in (sight.translated, sight.real))
    value, usual = float(np.median(made)), float(np.median(real))
    if value < SPOT or value < SPOTTED * max(usual, 4.0):
        return None
    return Finding(
        "blobs",
        "notice",
        f"spots stand out by {value:.0f} of 255, in real pictures by {usual:.0f}",
        "they come from instance norm (give --generator.norm none with --generator.init kaiming, "
        "as --preset small has it), or from a rate too high",
    )


def dead_run(sight: Sight) -> Finding | None:
    """One flat colour, nothing changed since the last evaluation, or losses that stand still."""
    made = grey(sight.translated)
    reasons = []
    contrast = float(made.std(axis=(1, 2)).mean())
    if contrast < 2 <= float(grey(sight.real).std(axis=(1, 2)).mean()):
        reasons.append(f"translations are flat (contrast {contrast:.1f} of 255)")
    if sight.change == 0:
        reasons.append("no weight has changed since the last evaluation (0.0)")
    for name, values in sight.losses.items():
        if len(values) >= 4 and len(set(values)) == 1:
            reasons.append(f"loss {name} stands at {values[0]:.4g}")
            break
    if not reasons:
        return None
    return Finding(
        "dead_run",
        "warning",
        ", ".join(reasons),
        "start again with a lower --optimizer.lr, with --clip 1, or with another --seed",
    )


DETECTORS: dict[str, Callable[[Sight], Finding | None]] = {
    "colour_inversion": colour_inversion,
    "identity_collapse": identity_collapse,
    "mode_collapse": mode_collapse,
    "discriminator_wins": discriminator_wins,
    "checkerboard": checkerboard,
    "blobs": blobs,
    "dead_run": dead_run,
}
