"""F(G(x)) against x, and whether G hides x in its output to make that come true."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import PIL.Image

from unpaired.data.decode import Pixels
from unpaired.evaluation.estimates import Estimate, Numbers, mean_estimate
from unpaired.evaluation.paired import absolute_errors, psnr, ssim

QUALITY = 90  # of the JPEG, with the usual subsampling of colour
NOISE = 2.0  # standard deviation, of 255 grey levels

Disturb = Callable[[Pixels, np.random.Generator], Pixels]


def jpeg(pictures: Pixels, rng: np.random.Generator) -> Pixels:  # noqa: ARG001
    """Each picture through JPEG at quality 90, in 8 bits; channels beyond RGB one by one."""
    eight = pictures if pictures.dtype == np.uint8 else (pictures >> 8).astype(np.uint8)
    whole = eight.shape[3] == 3
    made = np.empty_like(eight)
    for i, picture in enumerate(eight):
        if whole:
            made[i] = _jpeg(picture)
        else:
            for channel in range(picture.shape[2]):
                made[i, :, :, channel] = _jpeg(picture[:, :, channel])
    if pictures.dtype == np.uint8:
        return made
    lost: Pixels = made.astype(np.uint16) * 257
    return lost


def noise(pictures: Pixels, rng: np.random.Generator) -> Pixels:
    """Gaussian noise of standard deviation 2 of 255 on every value, rounded and clipped."""
    top = np.iinfo(pictures.dtype).max
    moved = pictures + rng.normal(0, NOISE * top / 255, pictures.shape)
    return np.clip(np.rint(moved), 0, top).astype(pictures.dtype)


DISTURBANCES: dict[str, Disturb] = {"jpeg": jpeg, "noise": noise}
METRICS: dict[str, Callable[[Pixels, Pixels], Numbers]] = {
    "l1": absolute_errors,
    "psnr": psnr,
    "ssim": ssim,
}


@dataclass(frozen=True)
class Reconstruction:
    """How well pictures come back, plainly and after G(x) was slightly disturbed."""

    pictures: Pixels
    """F(G(x)), shaped as the inputs."""
    disturbed: dict[str, Pixels]
    """F of the disturbed G(x), by DISTURBANCES."""
    per_picture: dict[str, Numbers]
    """Of the plain reconstruction: "l1", "psnr", "ssim", each (N,)."""
    scores: dict[str, dict[str, Estimate]]
    """By "plain" and DISTURBANCES, then by metric."""
    drops: dict[str, dict[str, Estimate]]
    """Disturbed less plain, picture by picture, so that the interval is that of the difference."""

    @property
    def hides(self) -> bool:
        """Whether the way back needs what the eye can't see: the error at least doubles, and grows
        by more than the disturbance itself could excuse, beyond doubt."""
        plain = self.scores["plain"]["l1"].value
        return any(drop["l1"].low > max(plain, 2 * NOISE) for drop in self.drops.values())

    @property
    def verdict(self) -> str:
        """What the figures say, in a sentence."""
        plain = self.scores["plain"]["l1"].value
        worst = max(self.drops, key=lambda name: self.drops[name]["l1"].value)
        drop = self.drops[worst]["l1"]
        what = {"jpeg": f"JPEG (quality {QUALITY})", "noise": "slight noise"}[worst]
        change = f"from {plain:.1f} to {plain + drop.value:.1f} of 255"
        if self.hides:
            return (
                f"Hidden messages: after {what} on the translation, the error of the way back goes "
                f"{change}. The first network writes the input into details nobody sees, and the "
                "second reads them; so a good reconstruction is no proof of a faithful translation."
            )
        return (
            f"No sign of hidden messages: after {what} on the translation, the error of the way "
            f"back goes {change}."
        )

    def numbers(self) -> dict[str, Any]:
        """For machines."""
        return {
            "scores": {
                kind: {key: asdict(one) for key, one in found.items()}
                for kind, found in self.scores.items()
            },
            "drops": {
                kind: {key: asdict(one) for key, one in found.items()}
                for kind, found in self.drops.items()
            },
            "hides": self.hides,
        }


def reconstruct(
    back: Callable[[Pixels], Pixels], inputs: Pixels, translated: Pixels, seed: int = 0
) -> Reconstruction:
    """Translate back, from the translations and from disturbed ones, and compare with the inputs.

    A CycleGAN can satisfy its cycle loss by hiding x in G(x), as high-frequency detail of small
    amplitude (Chu, Zhmoginov, Sandler 2017, "CycleGAN, a master of steganography"); then F(G(x))
    falls apart as soon as that detail is touched.

    Args:
        back: F: (N, H, W, C') -> (N, H, W, C).
        inputs, translated: x and G(x).
    """
    pictures = back(translated)
    rng = np.random.default_rng([seed, len(inputs)])
    disturbed = {name: back(disturb(translated, rng)) for name, disturb in DISTURBANCES.items()}
    values = {
        kind: {key: metric(made, inputs) for key, metric in METRICS.items()}
        for kind, made in {"plain": pictures, **disturbed}.items()
    }
    plain = values["plain"]
    return Reconstruction(
        pictures=pictures,
        disturbed=disturbed,
        per_picture=plain,
        scores={
            kind: {key: mean_estimate(own, seed) for key, own in found.items()}
            for kind, found in values.items()
        },
        drops={
            kind: {key: mean_estimate(own - plain[key], seed) for key, own in values[kind].items()}
            for kind in disturbed
        },
    )


def _jpeg(picture: Pixels) -> Pixels:
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "JPEG", quality=QUALITY)
    with PIL.Image.open(buffer) as image:
        return np.asarray(image)
