"""The data sets of the CycleGAN paper that others host: where they are, and what is known of them.

Sizes and digests are those that TensorFlow Datasets publishes for the archives of these names at
the authors' earlier address (url_checksums/cycle_gan.txt), counts those of its catalog page, which
counts what was unpacked.
Sizes without a digest are rounded ones of a public listing of the authors' host. What is said of
origin comes from the data page of the authors' code. What is not published is None.
"""

from __future__ import annotations

from dataclasses import dataclass

HOST = "http://efrosgans.eecs.berkeley.edu"
ACCOUNT = "https://www.cityscapes-dataset.com"

FLICKR = "Flickr photographs; each under its owner's terms, no list of them is published"
IMAGENET = (
    "ImageNet pictures; each its owner's, ImageNet's terms: non-commercial research, education"
)
WIKIART = f"reproductions from Wikiart.org, under its terms; {FLICKR}"
GOOGLE = "scraped from Google Maps, under Google's terms"
CMP = "the CMP Facade Database; its page states the terms: http://cmp.felk.cvut.cz/~tylecr1/facade"


@dataclass(frozen=True)
class PaperSet:
    """One archive of pictures.

    Attributes:
        about: what X and Y are.
        url: of the archive; None: nobody may pass it on, the user has to ask for it.
        size: of the archive in bytes; rounded where there is no digest.
        sha256: of the archive.
        counts: pictures in training X and Y, in test X and Y.
        licence: whose the pictures are; a note, not legal advice.
        paired: pictures side by side in train, for methods that learn from pairs.
        trains: False: only pictures to translate.
    """

    about: str
    url: str | None
    size: int | None
    sha256: str | None
    counts: tuple[int, int, int, int] | None
    licence: str
    paired: bool = False
    trains: bool = True

    def by_split(self) -> dict[str, int]:
        """`counts` by the folders' names; empty if none are published."""
        return dict(zip(("trainA", "trainB", "testA", "testB"), self.counts or ()))


def _unpaired(name: str) -> str:
    return f"{HOST}/cyclegan/datasets/{name}.zip"


PAPER_SETS: dict[str, PaperSet] = {
    "horse2zebra": PaperSet(
        about="wild horses and zebras",
        url=_unpaired("horse2zebra"),
        size=116_867_962,
        sha256="a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1",
        counts=(1067, 1334, 120, 140),
        licence=IMAGENET,
    ),
    "apple2orange": PaperSet(
        about="apples and navel oranges",
        url=_unpaired("apple2orange"),
        size=78_456_409,
        sha256="845a191e9af8926408ea597001cd03a452e3300a1f44a79fe329b3d59f6e3eb8",
        counts=(995, 1019, 266, 248),
        licence=IMAGENET,
    ),
    "summer2winter_yosemite": PaperSet(
        about="Yosemite in summer and in winter",
        url=_unpaired("summer2winter_yosemite"),
        size=132_640_856,
        sha256="167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9",
        counts=(1231, 962, 309, 238),
        licence=FLICKR,
    ),
    "monet2photo": PaperSet(
        about="paintings by Monet and landscape photographs",
        url=_unpaired("monet2photo"),
        size=305_231_073,
        sha256="88f91b00fc228f97c9411fbf1880ec1d119c98f1722e4cfcfaa2fb35fac05b04",
        counts=(1072, 6287, 121, 751),
        licence=WIKIART,
    ),
    "cezanne2photo": PaperSet(
        about="paintings by Cezanne and landscape photographs",
        url=_unpaired("cezanne2photo"),
        size=279_885_071,
        sha256="3a6c10ca21f9485862f1cbd707744b9dc258954a04631271d23a3605eeb63cff",
        counts=(525, 6287, 58, 751),
        licence=WIKIART,
    ),
    "ukiyoe2photo": PaperSet(
        about="ukiyo-e prints and landscape photographs",
        url=_unpaired("ukiyoe2photo"),
        size=292_946_532,
        sha256="02a2a2fb5ecf425ca1bf86aca7304377da64a2a1d3b86df54eb65e4068bf3b08",
        counts=(562, 6287, 263, 751),
        licence=WIKIART,
    ),
    "vangogh2photo": PaperSet(
        about="paintings by Van Gogh and landscape photographs",
        url=_unpaired("vangogh2photo"),
        size=306_590_349,
        sha256="362c3473e70be0944bda08d49d660eafdc2854df55d697835b8186d1d79caaff",
        counts=(400, 6287, 400, 751),
        licence=WIKIART,
    ),
    "maps": PaperSet(
        about="aerial photographs and maps of New York, as two folders",
        url=_unpaired("maps"),
        size=1_476_754_427,
        sha256="639534f69dbf9f36bef8d6292a7698006361221f83f0285d7c9ca78afe6e8a9e",
        counts=(1096, 1096, 1098, 1098),
        licence=GOOGLE,
    ),
    "maps-pairs": PaperSet(
        about="the same places side by side, aerial left and map right, for pix2pix",
        url=f"{HOST}/pix2pix/datasets/maps.tar.gz",
        size=250_000_000,
        sha256=None,
        counts=None,
        licence=GOOGLE,
        paired=True,
    ),
    "facades": PaperSet(
        about="facades and their label maps, as two folders",
        url=_unpaired("facades"),
        size=35_135_868,
        sha256="9a31ebf3a31b9b5cd195dd5bf62e9308e00cb94604d1019e3889ac84248695c0",
        counts=(400, 400, 106, 106),
        licence=CMP,
    ),
    "facades-pairs": PaperSet(
        about="the same facades side by side, photo left and labels right, for pix2pix",
        url=f"{HOST}/pix2pix/datasets/facades.tar.gz",
        size=30_000_000,
        sha256=None,
        counts=None,
        licence=CMP,
        paired=True,
    ),
    "iphone2dslr_flower": PaperSet(
        about="flowers by telephone and by camera with a shallow depth of field",
        url=_unpaired("iphone2dslr_flower"),
        size=339_964_458,
        sha256="8fcb5e374d631b107e1d961b8c4cd0a186aa2a4ff3e279923f4c426128de7113",
        counts=(1812, 3325, 569, 480),
        licence=FLICKR,
    ),
    "cityscapes": PaperSet(
        about="street photographs and their label maps, prepared from the originals; pairs by name",
        url=None,
        size=None,
        sha256=None,
        counts=(2975, 2975, 500, 500),
        licence=f"Cityscapes' own, which forbids passing the pictures on: {ACCOUNT}",
    ),
    "ae_photos": PaperSet(
        about="photographs by Alexei Efros, to be translated by the painting models",
        url=_unpaired("ae_photos"),
        size=10_000_000,
        sha256=None,
        counts=None,
        licence="none is stated",
        trains=False,
    ),
}
