"""TIFFs of several planes, and PNGs of 16 bits in colour: nothing is dropped in silence."""

import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.data.mutations import chunk
from unpaired.data.decode import UnreadableImage, probe, read_picture

RNG = np.random.default_rng(0)
PLANES = RNG.integers(0, 65536, (5, 20, 30), dtype=np.uint16)


@pytest.mark.parametrize(
    "options",
    [
        {"ome": True, "metadata": {"axes": "CYX"}},
        {"ome": True, "metadata": {"axes": "CYX"}, "tile": (16, 16), "compression": "zlib"},
        {"ome": True, "metadata": {"axes": "CYX"}, "bigtiff": True},
        {"imagej": True, "metadata": {"axes": "CYX"}},
        {"metadata": {"axes": "CYX"}},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "metadata": None},
    ],
    ids=str,
)
def test_planes_that_are_channels_become_channels(tmp_path: Path, options: dict) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANES, photometric="minisblack", **options)
    np.testing.assert_array_equal(read_picture(path).pixels, np.moveaxis(PLANES, 0, 2))
    assert probe(path) == (5, "uint16")


@pytest.mark.parametrize(
    "options", [{}, {"ome": True, "metadata": {"axes": "YXS"}}, {"tile": (16, 16)}], ids=str
)
def test_interleaved_channels_become_channels(tmp_path: Path, options: dict) -> None:
    pixels = np.ascontiguousarray(np.moveaxis(PLANES, 0, 2))
    options = {"photometric": "minisblack", "planarconfig": "contig", **options}
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").pixels, pixels)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"ome": True, "metadata": {"axes": "ZYX"}}, r"5 planes \(depth"),
        ({"ome": True, "metadata": {"axes": "TYX"}}, r"5 planes \(time"),
        ({"imagej": True, "metadata": {"axes": "ZYX"}}, r"5 planes \(depth"),
        ({}, r"5 planes \(an axis that is not named; axes QYX\).*CYX if they are channels"),
    ],
    ids=str,
)
def test_other_stacks_are_refused_and_it_is_said_how_to_split(
    tmp_path: Path, options: dict, what: str
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PLANES, photometric="minisblack", **options)
    for look in (read_picture, probe):
        with pytest.raises(UnreadableImage, match=what):
            look(tmp_path / "a.tif")


def test_a_stack_of_channels_and_depth_is_refused_and_colour_planes_too(tmp_path: Path) -> None:
    both = np.zeros((2, 3, 16, 16), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", both, ome=True, metadata={"axes": "CZYX"})
    with pytest.raises(UnreadableImage, match="3 planes"):
        read_picture(tmp_path / "a.tif")
    tifffile.imwrite(
        tmp_path / "b.tif",
        np.zeros((2, 16, 16, 3), np.uint8),
        ome=True,
        photometric="rgb",
        metadata={"axes": "CYXS"},
    )
    with pytest.raises(UnreadableImage, match="colour in several channels"):
        read_picture(tmp_path / "b.tif")


def test_pages_without_a_description_are_the_first_page(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(PLANES[0], metadata=None)
        tiff.write(PLANES[1], metadata=None)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").pixels[:, :, 0], PLANES[0])


def test_a_plane_cut_off_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANES, photometric="minisblack", ome=True, metadata={"axes": "CYX"})
    with tifffile.TiffFile(path) as tiff:
        end = tiff.pages[4].dataoffsets[0] + tiff.pages[4].databytecounts[0]
    path.write_bytes(path.read_bytes()[: end - 100])
    with pytest.raises(UnreadableImage):
        read_picture(path)


def test_ink_of_16_bits_is_refused_rather_than_cut(tmp_path: Path) -> None:
    ink = RNG.integers(0, 65536, (8, 9, 4), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", ink, photometric="separated")
    with pytest.raises(UnreadableImage, match="would lose bits"):
        read_picture(tmp_path / "a.tif")


def deep_png(values: np.ndarray, kind: int, more: bytes = b"") -> bytes:
    """16 bits, its rows filtered in each of the five ways in turn."""
    height, width, channels = values.shape
    rows = values.astype(">u2").view(np.uint8).reshape(height, -1).astype(int)
    step, packed, up = 2 * channels, b"", np.zeros(rows.shape[1], int)
    for y, row in enumerate(rows):
        left = np.concatenate([np.zeros(step, int), row[:-step]])
        corner = np.concatenate([np.zeros(step, int), up[:-step]])
        guess = left + up - corner
        away = [abs(guess - one) for one in (left, up, corner)]
        nearest = np.where(away[1] <= away[2], up, corner)
        paeth = np.where((away[0] <= away[1]) & (away[0] <= away[2]), left, nearest)
        predicted = (0, left, up, (left + up) // 2, paeth)[y % 5]
        packed += bytes([y % 5]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
        up = row
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(packed))
    return b"\x89PNG\r\n\x1a\n" + head + more + body + chunk(b"IEND", b"")


@pytest.mark.parametrize(("channels", "kind"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_png_of_16_bits_keeps_every_bit(tmp_path: Path, channels: int, kind: int) -> None:
    values = RNG.integers(0, 65536, (37, 23, channels), dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(deep_png(values, kind))
    picture = read_picture(tmp_path / "a.png")
    assert (picture.alpha is not None) == (channels in (2, 4))
    parts = [picture.pixels] + ([] if picture.alpha is None else [picture.alpha])
    np.testing.assert_array_equal(np.dstack(parts), values)
    assert probe(tmp_path / "a.png") == (1 if channels < 3 else 3, "uint16")


def test_the_colour_that_a_deep_png_calls_nothing_is_transparent(tmp_path: Path) -> None:
    values = np.array([[[257, 513, 65535], [257, 512, 65535]]], np.uint16)
    more = chunk(b"tRNS", struct.pack(">HHH", 257, 513, 65535))
    (tmp_path / "a.png").write_bytes(deep_png(values, 2, more))
    picture = read_picture(tmp_path / "a.png")
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[0, 65535]]
    np.testing.assert_array_equal(picture.pixels, values)


PIXELS = (
    '<Image><Pixels DimensionOrder="XYZCT" SizeX="8" SizeY="8" Type="uint8" {}>{}</Pixels></Image>'
)
SIZES = 'SizeZ="1" SizeC="2" SizeT="1"'
CLAIMS = {
    "sizes": PIXELS.format('SizeZ="1" SizeC="100000000" SizeT="1"', '<TiffData IFD="0"/>'),
    "none": PIXELS.format('SizeZ="1" SizeC="-3" SizeT="1"', '<TiffData IFD="0"/>'),
    "planes": PIXELS.format(SIZES, '<TiffData IFD="0" PlaneCount="99999999"/>'),
    "many": PIXELS.format(SIZES, '<TiffData IFD="0" PlaneCount="6000"/>' * 20),
    "modulo": '<StructuredAnnotations><XMLAnnotation Namespace="modulo" ID="a"><Value><Modulo>'
    '<ModuloAlongT Start="0" End="1e12"/></Modulo></Value></XMLAnnotation></StructuredAnnotations>'
    + PIXELS.format(SIZES, '<TiffData IFD="0"/>'),
    "not a number": PIXELS.format(SIZES, '<TiffData PlaneCount="many"/>'),
}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_what_ome_metadata_claim_is_not_acted_on(tmp_path: Path, claim: str) -> None:
    xml = f'<?xml version="1.0"?><OME>{claim}</OME>'
    path = tmp_path / "claims.tif"
    tifffile.imwrite(path, np.zeros((8, 8), np.uint8), description=xml, metadata=None)
    began = time.process_time()
    for read in (probe, read_picture):
        with pytest.raises(UnreadableImage):
            read(path)
    assert time.process_time() - began < 2


def test_no_file_is_opened_that_ome_metadata_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # whoever opens it waits for ever
    other = f'<TiffData><UUID FileName="{tmp_path / "pipe"}">urn:uuid:1</UUID></TiffData>'
    xml = f'<?xml version="1.0"?><OME>{PIXELS.format(SIZES, other)}</OME>'
    path = tmp_path / "leads.tif"
    tifffile.imwrite(path, np.zeros((8, 8), np.uint8), description=xml, metadata=None)
    with pytest.raises(UnreadableImage, match="several files"):
        read_picture(path)


def test_entities_that_grow_are_not_followed(tmp_path: Path) -> None:
    grows = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(9))
    xml = f'<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY e0 "0123456789">{grows}]><OME>&e9;</OME>'
    path = tmp_path / "grows.tif"
    tifffile.imwrite(path, np.full((8, 8), 7, np.uint8), description=xml, metadata=None)
    assert (read_picture(path).pixels == 7).all()
