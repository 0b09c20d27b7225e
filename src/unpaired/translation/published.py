"""Generators that the authors of CycleGAN and pix2pix publish, by the names of their scripts."""

from __future__ import annotations

from dataclasses import dataclass

CYCLEGAN = "http://efrosgans.eecs.berkeley.edu/cyclegan/pretrained_models/{}.pth"
"""As in scripts/download_cyclegan_model.sh of pytorch-CycleGAN-and-pix2pix."""
PIX2PIX = "http://efrosgans.eecs.berkeley.edu/pix2pix/models-pytorch/{}.pth"
"""As in scripts/download_pix2pix_model.sh there."""


@dataclass(frozen=True)
class Published:
    """One file; its authors give no checksum."""

    url: str
    about: str
    back: str | None = None
    """The name of the file that goes the other way, of the same training."""


def _cyclegan(name: str, about: str, back: str | None = None) -> Published:
    return Published(CYCLEGAN.format(name), about, back)


def _pix2pix(name: str, about: str) -> Published:
    return Published(PIX2PIX.format(name), about)


PUBLISHED: dict[str, Published] = {
    "apple2orange": _cyclegan("apple2orange", "apples -> oranges", "orange2apple"),
    "orange2apple": _cyclegan("orange2apple", "oranges -> apples", "apple2orange"),
    "summer2winter_yosemite": _cyclegan(
        "summer2winter_yosemite", "Yosemite in summer -> in winter", "winter2summer_yosemite"
    ),
    "winter2summer_yosemite": _cyclegan(
        "winter2summer_yosemite", "Yosemite in winter -> in summer", "summer2winter_yosemite"
    ),
    "horse2zebra": _cyclegan("horse2zebra", "horses -> zebras", "zebra2horse"),
    "zebra2horse": _cyclegan("zebra2horse", "zebras -> horses", "horse2zebra"),
    "monet2photo": _cyclegan("monet2photo", "paintings by Monet -> photos"),
    "style_monet": _cyclegan("style_monet", "photos -> Monet"),
    "style_cezanne": _cyclegan("style_cezanne", "photos -> Cezanne"),
    "style_ukiyoe": _cyclegan("style_ukiyoe", "photos -> Ukiyo-e"),
    "style_vangogh": _cyclegan("style_vangogh", "photos -> Van Gogh"),
    "sat2map": _cyclegan("sat2map", "aerial photos -> maps", "map2sat"),
    "map2sat": _cyclegan("map2sat", "maps -> aerial photos", "sat2map"),
    "cityscapes_photo2label": _cyclegan(
        "cityscapes_photo2label", "street photos -> labels", "cityscapes_label2photo"
    ),
    "cityscapes_label2photo": _cyclegan(
        "cityscapes_label2photo", "labels -> street photos", "cityscapes_photo2label"
    ),
    "facades_photo2label": _cyclegan(
        "facades_photo2label", "photos of facades -> labels", "facades_label2photo"
    ),
    "facades_label2photo": _cyclegan(
        "facades_label2photo", "labels -> photos of facades", "facades_photo2label"
    ),
    "iphone2dslr_flower": _cyclegan(
        "iphone2dslr_flower", "flowers by a telephone -> with a shallow depth of field"
    ),
    "pix2pix:edges2shoes": _pix2pix("edges2shoes", "edges -> shoes"),
    "pix2pix:sat2map": _pix2pix("sat2map", "aerial photos -> maps"),
    "pix2pix:map2sat": _pix2pix("map2sat", "maps -> aerial photos"),
    "pix2pix:facades_label2photo": _pix2pix("facades_label2photo", "labels -> photos of facades"),
    "pix2pix:day2night": _pix2pix("day2night", "day -> night"),
}
"""Names that both scripts have are CycleGAN's unless they say pix2pix."""


def listing() -> str:
    """A line per name, for people."""
    return "\n".join(f"{name:<28} {one.about}" for name, one in PUBLISHED.items())
