"""Draw docs/images/demo.png from a run of the demo: test tiles at even steps, none picked.

python tools/demo_picture.py runs/demo docs/images/demo.png
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from unpaired.data.catalog import worldtiles

TILES, ZOOM, GAP, LEFT = 10, 2, 4, 120


def main(run: Path, target: Path) -> None:
    """Three rows: the atlas page, its translation, the hidden true picture."""
    tiles = worldtiles("terrain-aerial")
    places = [i * len(tiles.test_x) // TILES + 6 for i in range(TILES)]
    rows = {
        "input": [tiles.test_x[i] for i in places],
        "unpaired": [
            np.asarray(Image.open(run / "translations" / "x2y" / f"{tiles.names['test'][i]}.png"))
            for i in places
        ],
        "hidden truth": [tiles.test_y[i] for i in places],
    }
    side = tiles.test_x.shape[1] * ZOOM
    width = LEFT + TILES * (side + GAP)
    picture = Image.new("RGB", (width, len(rows) * (side + GAP) - GAP), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(18)
    for r, (name, pictures) in enumerate(rows.items()):
        top = r * (side + GAP)
        pen.text((0, top + side // 2 - 10), name, fill=(60, 60, 60), font=font)
        for c, pixels in enumerate(pictures):
            large = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
            picture.paste(large, (LEFT + c * (side + GAP), top))
    target.parent.mkdir(parents=True, exist_ok=True)
    picture.save(target, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
