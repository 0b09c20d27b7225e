"""What the CycleGAN paper set for each of its data sets; `--preset NAME` beside `--data NAME`.

From its sections 4, 5 and 7 (https://arxiv.org/abs/1703.10593), and for pairs from pix2pix
(https://arxiv.org/abs/1611.07004, appendix 6.2). None of these trainings, of days on a GPU each,
was run here; what was run stands in docs/results.
"""

from __future__ import annotations

from typing import Any

NOT_RUN = "Not run here."

PAPER = {"batch": 1, "epochs": 200, "ema": 0.0, "history": 50}
"""Of all sets: 100 epochs at the full rate, 100 down to 0 (the schedule's default)."""
AT_256: dict[str, Any] = {**PAPER, "size": 256, "images.load": 286}
AT_128: dict[str, Any] = {**PAPER, "size": 128, "images.load": 143}
IDENTITY = {"cyclegan": {"loss.identity": 5.0}}
UNPAIRED_ALONE: dict[str, dict[str, Any]] = {"cyclegan": {}}
COMPARED: dict[str, dict[str, Any]] = {
    name: {} for name in ("cyclegan", "bigan", "cogan", "simgan", "feature_gan", "pix2pix")
}
"""The systems that the paper trains on the same set (Tables 1 to 3 and Figure 8)."""
PAINTER = (
    "256 pixels, the paper's jitter, and the identity term at 0.5 lambda (sec. 5.2), which keeps "
    "colours."
)

# name: (about, changes of the run, settings by method)
DATASET_PRESETS: dict[str, tuple[str, dict[str, Any], dict[str, dict[str, Any]]]] = {
    "horse2zebra": (
        "object transfiguration: 256 pixels, no identity term (the authors' later code has it on: "
        f"--loss.identity 5). {NOT_RUN}",
        AT_256,
        UNPAIRED_ALONE,
    ),
    "apple2orange": (
        f"object transfiguration: 256 pixels, no identity term. {NOT_RUN}",
        AT_256,
        UNPAIRED_ALONE,
    ),
    "summer2winter_yosemite": (
        f"season transfer: 256 pixels, no identity term. {NOT_RUN}",
        AT_256,
        UNPAIRED_ALONE,
    ),
    "monet2photo": (
        f"paintings to photos: {PAINTER} The paper crops the originals, which aren't published. "
        f"{NOT_RUN}",
        AT_256,
        IDENTITY,
    ),
    "cezanne2photo": (
        f"as monet2photo: {PAINTER} The paper names the term for Monet; for style transfer alone "
        f"give --loss.identity 0. {NOT_RUN}",
        AT_256,
        IDENTITY,
    ),
    "ukiyoe2photo": (
        f"as cezanne2photo. {NOT_RUN}",
        AT_256,
        IDENTITY,
    ),
    "vangogh2photo": (
        f"as cezanne2photo. {NOT_RUN}",
        AT_256,
        IDENTITY,
    ),
    "maps": (
        "aerial photos and maps: 256 pixels, no identity term; pix2pix, which needs maps-pairs, "
        f"with the same jitter. {NOT_RUN}",
        AT_256,
        COMPARED,
    ),
    "facades": (
        "facades and labels: 256 pixels, no identity term; pix2pix, which needs facades-pairs, "
        f"with the same jitter. {NOT_RUN}",
        AT_256,
        COMPARED,
    ),
    "iphone2dslr_flower": (
        "photo enhancement: pictures brought to 360 pixels of width, crops of 256 (ours: the paper "
        f"gives no size of crop), identity term at 0.5 lambda. {NOT_RUN}",
        {**PAPER, "size": 256, "images.mode": "scale-width", "images.load": 360},
        IDENTITY,
    ),
    "cityscapes": (
        "street photos and labels: 128 pixels, so 6 residual blocks; no identity term; the systems "
        f"of Tables 2 and 3 likewise. {NOT_RUN}",
        AT_128,
        COMPARED,
    ),
}
