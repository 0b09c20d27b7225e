"""Rows of pictures with names beside them, as the results pages show them."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LEFT = 150  # pixels for the names


def draw(rows: dict[str, list[np.ndarray]], target: Path, gap: int, quality: int) -> None:
    """A row of pictures per name, all (H, W, 3) uint8 of one size, as a JPEG file."""
    height, width = next(iter(rows.values()))[0].shape[:2]
    across = max(map(len, rows.values()))
    size = (LEFT + across * (width + gap), len(rows) * (height + gap) - gap)
    picture = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    for r, (name, pictures) in enumerate(rows.items()):
        top = r * (height + gap)
        pen.text((0, top + height // 2 - 8), name, fill=(60, 60, 60), font=font)
        for c, pixels in enumerate(pictures):
            place = (LEFT + c * (width + gap), top)
            picture.paste(Image.fromarray(np.ascontiguousarray(pixels)), place)
    target.parent.mkdir(parents=True, exist_ok=True)
    picture.save(target, quality=quality, subsampling=0)
    print(target)
