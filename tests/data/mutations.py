"""Pictures of every kind, and what can be done to their files: drawn from a seed, with the truth.

`tests/data/test_bad_images.py` takes a hundred of them, `benchmarks/bad_images.py` a thousand.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

Truth = tuple[np.ndarray, np.ndarray | None]
"""(H, W, C) and alpha (H, W), as a right decoder gives them."""

WIDTH, HEIGHT = 61, 45
UNDO = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}
"""From what a file holds to the upright picture, by EXIF orientation."""


@dataclass(frozen=True)
class Specimen:
    """A sound file and what it shows; `near`: its compression changes values by up to so much."""

    name: str
    format: str
    content: bytes
    truth: Truth
    near: int = 0


@dataclass(frozen=True)
class Bad:
    """A file that something was done to.

    Attributes:
        kind: what was done.
        truth: what was in it before; None: nothing that could be known.
        may: what else than the truth may become of it: "refused", "other" (another picture, which
            nothing in the file tells from a real one).
        make: instead of content, for what is no regular file.
    """

    name: str
    kind: str
    format: str
    content: bytes
    truth: Truth | None
    near: int
    may: frozenset[str]
    make: Callable[[Path], None] | None = None

    def write(self, folder: Path) -> Path:
        """Lay it into `folder`."""
        path = folder / self.name
        if self.make:
            self.make(path)
        else:
            path.write_bytes(self.content)
        return path


RIGHT, REFUSED, EITHER = frozenset[str](), frozenset({"refused"}), frozenset({"refused", "other"})


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    """The file as Pillow writes it."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def as_tiff(pixels: np.ndarray, **options: object) -> bytes:
    """The file as tifffile writes it."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


@lru_cache(maxsize=1)
def base() -> np.ndarray:
    """(45, 61, 3): a picture without symmetry, smooth with some noise, that no two rows share."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [4 * x, 5 * y, 2 * x + 2 * y]
    return np.clip(np.stack(planes, 2) + rng.integers(0, 9, (HEIGHT, WIDTH, 3)), 0, 255).astype(
        "u1"
    )


@lru_cache(maxsize=1)
def specimens() -> tuple[Specimen, ...]:
    """Every kind of sound file that the policy of docs/data.md names."""
    rgb, rng = base(), np.random.default_rng(8)
    grey, alpha = rgb[:, :, 1].copy(), rgb[:, :, 2].copy()
    deep = rng.integers(0, 65536, (HEIGHT, WIDTH, 3), dtype=np.uint16)
    image, four = Image.fromarray(rgb), Image.fromarray(np.dstack([rgb, alpha]))
    found: list[Specimen] = []

    def add(name: str, format: str, content: bytes, pixels, over=None, near: int = 0) -> None:
        pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
        found.append(Specimen(name, format, content, (pixels, over), near))

    for format in ("PNG", "BMP", "TIFF"):
        add(f"rgb.{format}", format, saved(image, format), rgb)
        add(f"grey.{format}", format, saved(Image.fromarray(grey), format), grey)
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        add(f"{compression}.TIFF", "TIFF", saved(image, "TIFF", compression=compression), rgb)
    for subsampling in (0, 2):
        for progressive in (False, True):
            options = {"quality": 92, "subsampling": subsampling, "progressive": progressive}
            content = saved(image, "JPEG", **options)
            with Image.open(io.BytesIO(content)) as again:  # what libjpeg makes of it
                add(f"{subsampling}{progressive}.JPEG", "JPEG", content, np.asarray(again))
    content = saved(Image.fromarray(grey), "JPEG")
    add("grey.JPEG", "JPEG", content, np.asarray(Image.open(io.BytesIO(content))))
    add("rgb.WEBP", "WEBP", saved(image, "WEBP", lossless=True), rgb)
    content = saved(image, "WEBP", quality=90)
    add("lossy.WEBP", "WEBP", content, np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))
    exact = {"lossless": True, "exact": True}
    add("alpha.WEBP", "WEBP", saved(four, "WEBP", **exact), rgb, alpha)
    add("alpha.PNG", "PNG", saved(four, "PNG"), rgb, alpha)
    add("alpha.TIFF", "TIFF", saved(four, "TIFF"), rgb, alpha)
    two = Image.fromarray(np.dstack([grey, alpha]), "LA")
    add("la.PNG", "PNG", saved(two, "PNG"), grey, alpha)
    add("16.PNG", "PNG", saved(Image.fromarray(deep[:, :, 0]), "PNG"), deep[:, :, 0])
    add("16 rgb.PNG", "PNG", png(deep), deep)
    for order in ("<", ">"):
        add(f"16{order}.TIFF", "TIFF", as_tiff(deep[:, :, 0], byteorder=order), deep[:, :, 0])
        options = {"byteorder": order, "photometric": "rgb"}
        add(f"16 rgb{order}.TIFF", "TIFF", as_tiff(deep, **options), deep)
    options = {"photometric": "rgb", "compression": "zlib", "rowsperstrip": 7}
    add("16 deflate.TIFF", "TIFF", as_tiff(deep, **options), deep)
    tiled = {"photometric": "rgb", "tile": (16, 32)}
    add("tiled.TIFF", "TIFF", as_tiff(rgb, **tiled), rgb)
    palette = image.quantize(200)
    drawn = np.asarray(palette.convert("RGB"))
    for format in ("PNG", "BMP", "GIF", "TIFF"):
        add(f"palette.{format}", format, saved(palette, format), drawn)
    clear = np.where(np.asarray(palette) == 3, 0, 255).astype(np.uint8)
    for format in ("PNG", "GIF"):
        add(f"clear.{format}", format, saved(palette, format, transparency=3), drawn, clear)
    bits = image.convert("1")
    for format in ("PNG", "BMP", "TIFF"):
        add(f"bits.{format}", format, saved(bits, format), np.asarray(bits.convert("L")))
    # ink: rgb = 255 - ink where there is no black
    ink = Image.fromarray(np.dstack([255 - rgb, np.zeros_like(grey)]), "CMYK")
    add("cmyk.TIFF", "TIFF", saved(ink, "TIFF"), rgb)
    adobe = saved(ink, "JPEG", quality=100, subsampling=0)  # inverted, as Photoshop has it
    add("adobe.JPEG", "JPEG", adobe, rgb, near=6)
    upside = Image.fromarray(255 - np.asarray(ink), "CMYK")
    upside = saved(upside, "JPEG", quality=100, subsampling=0)
    add("plain cmyk.JPEG", "JPEG", without_adobe(upside), rgb, near=6)
    for format in ("GIF", "WEBP", "PNG", "TIFF"):
        options = {"lossless": True} if format == "WEBP" else {}
        frames = [Image.fromarray(np.roll(np.asarray(palette), 9 * i, 1), "P") for i in (1, 2)]
        for frame in frames:
            frame.putpalette(palette.getpalette())
        content = saved(palette, format, save_all=True, append_images=frames, **options)
        add(f"animated.{format}", format, content, drawn)
    for orientation, undo in UNDO.items():
        exif = Image.Exif()
        exif[274] = orientation
        for format in ("PNG", "JPEG", "WEBP", "TIFF"):
            options = {"exif": exif, **({"lossless": True} if format == "WEBP" else {})}
            pixels = rgb
            if format == "JPEG":
                pixels = np.asarray(Image.open(io.BytesIO(saved(image, format, quality=95))))
                options["quality"] = 95
            content = saved(image, format, **options)
            add(f"turned {orientation}.{format}", format, content, undo(pixels))
        for kind in ("grey", "16"):
            pixels = undo(grey if kind == "grey" else deep[:, :, 0])
            content = saved(
                Image.fromarray(grey if kind == "grey" else deep[:, :, 0]), "PNG", exif=exif
            )
            add(f"turned {kind} {orientation}.PNG", "PNG", content, pixels)
    return tuple(found)


def without_adobe(content: bytes) -> bytes:
    """A JPEG without the mark that says that its ink is inverted."""
    at = content.index(b"\xff\xee")
    return content[:at] + content[at + 2 + int.from_bytes(content[at + 2 : at + 4], "big") :]


def chunk(kind: bytes, data: bytes) -> bytes:
    """Of a PNG, with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels: np.ndarray, width: int = 0, height: int = 0) -> bytes:
    """16-bit colour, which Pillow doesn't write; `width` and `height`: what its header says."""
    rows = pixels.astype(">u2").reshape(len(pixels), -1)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    size = (width or pixels.shape[1], height or pixels.shape[0])
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


# what is done to a file: (content, format, chance) -> (content, what may become of it)
Damage = Callable[[bytes, str, np.random.Generator], tuple[bytes, frozenset[str]]]


def damage_of(format: str) -> frozenset[str]:
    """Only PNG has checksums over everything: damage within any other may show another picture."""
    return REFUSED if format == "PNG" else EITHER


def bit_flips(
    content: bytes, format: str, rng: np.random.Generator
) -> tuple[bytes, frozenset[str]]:
    """One to eight of them."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
    return bytes(changed), damage_of(format)


def header_bytes(
    content: bytes, format: str, rng: np.random.Generator
) -> tuple[bytes, frozenset[str]]:
    """One to four of the first 64 bytes become something else."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        changed[rng.integers(min(64, len(changed)))] = int(rng.integers(256))
    return bytes(changed), damage_of(format)


def truncated(
    content: bytes, format: str, rng: np.random.Generator
) -> tuple[bytes, frozenset[str]]:
    """Cut anywhere, which never shows another picture."""
    return content[: rng.integers(len(content))], REFUSED


def zero_tail(
    content: bytes, format: str, rng: np.random.Generator
) -> tuple[bytes, frozenset[str]]:
    """As a download leaves it whose place was taken before: as long as it should be, then zeros."""
    kept = int(rng.integers(len(content)))
    may = REFUSED if format in ("PNG", "JPEG") else EITHER
    return content[:kept] + bytes(len(content) - kept), may


def zero_block(
    content: bytes, format: str, rng: np.random.Generator
) -> tuple[bytes, frozenset[str]]:
    """A sector that was never written."""
    at = int(rng.integers(len(content)))
    lost = min(512, len(content) - at)
    return content[:at] + bytes(lost) + content[at + lost :], damage_of(format)


def noise_block(
    content: bytes, format: str, rng: np.random.Generator
) -> tuple[bytes, frozenset[str]]:
    """A sector of another file."""
    at = int(rng.integers(len(content)))
    lost = min(512, len(content) - at)
    return content[:at] + rng.bytes(lost) + content[at + lost :], damage_of(format)


def hole(content: bytes, format: str, rng: np.random.Generator) -> tuple[bytes, frozenset[str]]:
    """Bytes that went missing in the middle."""
    at = int(rng.integers(len(content)))
    return content[:at] + content[at + int(rng.integers(1, 300)) :], damage_of(format)


def inserted(content: bytes, format: str, rng: np.random.Generator) -> tuple[bytes, frozenset[str]]:
    """Bytes too many."""
    at = int(rng.integers(len(content)))
    return content[:at] + rng.bytes(int(rng.integers(1, 300))) + content[at:], damage_of(format)


def spliced(content: bytes, format: str, rng: np.random.Generator) -> tuple[bytes, frozenset[str]]:
    """The beginning of one file, the end of another of its format."""
    others = [s.content for s in specimens() if s.format == format]
    other = others[int(rng.integers(len(others)))]
    at = int(rng.integers(min(len(content), len(other))))
    # may be the other one, if cut before anything differs
    return content[:at] + other[at:], EITHER


def trailing(content: bytes, format: str, rng: np.random.Generator) -> tuple[bytes, frozenset[str]]:
    """Junk behind the end, which cameras leave there: to be ignored."""
    return content + rng.bytes(int(rng.integers(1, 999))), RIGHT


DAMAGES: dict[str, Damage] = {
    "bit flips": bit_flips,
    "header bytes": header_bytes,
    "cut short": truncated,
    "tail of zeros": zero_tail,
    "block of zeros": zero_block,
    "block of noise": noise_block,
    "bytes missing": hole,
    "bytes inserted": inserted,
    "spliced": spliced,
    "junk behind": trailing,
}


@lru_cache(maxsize=1)
def lies() -> tuple[Bad, ...]:
    """As `_lies`; made once."""
    return tuple(_lies())


def _lies() -> Iterator[Bad]:
    """Headers that say what isn't so, with right checksums; and bombs."""
    rgb, deep = base(), base().astype(np.uint16) * 257

    def lie(name: str, format: str, content: bytes, may=REFUSED, kind="lying header") -> Bad:
        return Bad(f"{name}.{format.lower()}", kind, format, content, None, 0, may)

    def patched(content: bytes, at: int, layout: str, *values: int) -> bytes:
        return content[:at] + struct.pack(layout, *values) + content[at + struct.calcsize(layout) :]

    # more pixels than there are: never a half-grey picture
    yield lie("taller", "PNG", png(deep, height=HEIGHT + 9))
    yield lie("wider", "PNG", png(deep, width=WIDTH * 2))
    bmp = saved(Image.fromarray(rgb), "BMP")
    yield lie("taller", "BMP", patched(bmp, 22, "<i", HEIGHT + 9))
    yield lie("wider", "BMP", patched(bmp, 18, "<i", WIDTH * 2))
    gif = saved(Image.fromarray(rgb).quantize(), "GIF")
    at = 13 + (3 << (gif[10] & 7) + 1)  # behind the colours
    assert gif[at : at + 1] == b","
    taller = patched(gif, at + 7, "<H", HEIGHT + 9)
    yield lie("taller", "GIF", patched(taller, 8, "<H", HEIGHT + 9))
    jpeg = saved(Image.fromarray(rgb), "JPEG")
    at = jpeg.index(b"\xff\xc0")
    yield lie("taller", "JPEG", patched(jpeg, at + 5, ">H", HEIGHT + 99))
    yield lie("wider", "JPEG", patched(jpeg, at + 7, ">H", WIDTH + 99))
    yield lie("no height", "JPEG", patched(jpeg, at + 5, ">H", 0))
    tiff = saved(Image.fromarray(rgb), "TIFF")
    for tag, name, value in ((257, "taller", HEIGHT + 9), (256, "wider", WIDTH * 2)):
        yield lie(name, "TIFF", tiff_with(tiff, tag, value))
    yield lie("many rows in a strip", "TIFF", tiff_with(tiff, 278, 7))  # of one strip
    yield lie("many channels", "TIFF", tiff_with(as_tiff(deep[:, :, 0]), 277, 60000))
    webp = saved(Image.fromarray(rgb), "WEBP", lossless=True)
    yield lie("longer", "WEBP", patched(webp, 4, "<I", len(webp) * 2))
    # fewer pixels than there are: the header is believed, or the file refused
    yield lie("shorter", "PNG", png(deep, height=HEIGHT - 9))
    yield lie("shorter", "BMP", patched(bmp, 22, "<i", HEIGHT - 9), EITHER)
    yield lie("shorter", "TIFF", tiff_with(tiff, 257, HEIGHT - 9), EITHER)
    yield lie("shorter", "JPEG", patched(jpeg, at + 5, ">H", HEIGHT - 19), EITHER)
    # bombs
    bomb = "bomb"
    yield lie("vast", "PNG", png(deep, 60000, 60000), kind=bomb)
    yield lie("negative", "PNG", png(deep, 0x80000001, 3), kind=bomb)
    yield lie("vast", "BMP", patched(bmp, 18, "<ii", 60000, 60000), kind=bomb)
    yield lie("negative", "BMP", patched(bmp, 18, "<ii", -60, 60), EITHER, kind=bomb)
    yield lie("vast", "GIF", patched(gif, 6, "<HH", 65535, 65535), kind=bomb)
    yield lie("vast", "JPEG", patched(jpeg, at + 5, ">HH", 65500, 65500), kind=bomb)
    for tag in (256, 257):
        yield lie(f"vast {tag}", "TIFF", tiff_with(tiff, tag, 60_000_000), kind=bomb)
    zeros = zlib.compressobj(1)
    packed = b"".join(zeros.compress(bytes(1 << 24)) for _ in range(32)) + zeros.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    small = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    yield lie("half a gigabyte for 8 x 8", "PNG", small, kind=bomb)
    text = b"\x89PNG\r\n\x1a\n" + head + chunk(b"zTXt", b"k\0\0" + packed)
    yield lie("half a gigabyte of text", "PNG", text + chunk(b"IEND", b""), kind=bomb)
    yield lie("half a gigabyte in a strip", "TIFF", deflated(packed), kind=bomb)
    yield lie("half a gigabyte in a strip of 16 bits", "TIFF", deflated(packed, 16), kind=bomb)
    yield lie("2000 scans", "JPEG", many_scans(2000), kind=bomb)
    # other formats, some of which Pillow would start programs for
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    yield lie("postscript", "JPEG", eps, kind="another format")
    ppm = b"P6 3 3 255\n" + bytes(27)
    yield lie("ppm", "PNG", ppm, kind="another format")
    yield lie("page", "PNG", b"<!DOCTYPE html><title>404</title>", kind="another format")


def tiff_with(content: bytes, tag: int, value: int) -> bytes:
    """A little-endian TIFF of which one tag says something else."""
    changed = bytearray(content)
    (at,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        if struct.unpack_from("<H", content, entry)[0] == tag:
            struct.pack_into("<HII", changed, entry + 2, 4, 1, value)
            return bytes(changed)
    raise ValueError(f"no tag {tag}")


def deflated(packed: bytes, bits: int = 8) -> bytes:
    """A TIFF of 8 x 8 pixels in three channels, whose one strip is `packed`."""
    pixels = np.zeros((8, 8, 3), f"u{bits // 8}")
    content = as_tiff(pixels, photometric="rgb", compression="zlib", rowsperstrip=8)
    place = len(content) + len(content) % 2
    content = content.ljust(place, b"\0") + packed
    return tiff_with(tiff_with(content, 273, place), 279, len(packed))


def many_scans(count: int) -> bytes:
    """A small file of a large progressive JPEG whose last scan comes again and again."""
    content = saved(Image.new("L", (4000, 4000)), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    scan = content[last:-2]
    return content[:-2] + scan * count + b"\xff\xd9"


def specials() -> Iterator[Bad]:
    """What lies in folders and is no file of pixels."""

    def special(name: str, make: Callable[[Path], None]) -> Bad:
        return Bad(name, "no regular file", "none", b"", None, 0, REFUSED, make)

    yield special("pipe.png", os.mkfifo)
    yield special("pipe.tif", os.mkfifo)
    yield special("zeros.jpg", lambda path: path.symlink_to("/dev/zero"))
    yield special("zeros.tif", lambda path: path.symlink_to("/dev/zero"))
    yield special("noise.png", lambda path: path.symlink_to("/dev/urandom"))
    yield special("loop.png", lambda path: path.symlink_to(path.name))
    yield special("dangling.png", lambda path: path.symlink_to("nowhere.png"))
    yield special("folder.png", Path.mkdir)
    for suffix in ("png", "jpg", "tif", "gif"):
        yield Bad(f"empty.{suffix}", "no bytes", "none", b"", None, 0, REFUSED)
        yield Bad(f"zero.{suffix}", "zero bytes", "none", bytes(4096), None, 0, REFUSED)


def sound() -> Iterator[Bad]:
    """Every specimen as it is, and under another format's name: each has to come out right."""
    suffixes = ("png", "jpg", "tif", "gif", "webp", "bmp")
    for number, s in enumerate(specimens()):
        kind = s.name.split(".")[0].rstrip(" 12345678").strip("<>") or "16 bits"
        kind = {"turned": "orientation", "animated": "animated"}.get(kind.split()[0], "sound")
        yield Bad(s.name.lower(), kind, s.format, s.content, s.truth, s.near, RIGHT)
        lying = f"{s.name}.{suffixes[number % len(suffixes)]}"
        yield Bad(lying, "wrong extension", s.format, s.content, s.truth, s.near, RIGHT)


def mutations(seed: int, count: int) -> Iterator[Bad]:
    """`count` files: everything sound, every lie and special file, the rest damage by chance."""
    fixed = [*specials(), *lies(), *sound()]
    rng = np.random.default_rng(seed)
    if len(fixed) > count // 2:
        kept = sorted(rng.choice(len(fixed), count // 2, replace=False))
        fixed = [fixed[i] for i in kept]
    yield from fixed
    everything, kinds = specimens(), list(DAMAGES.items())
    for number in range(count - len(fixed)):
        specimen = everything[int(rng.integers(len(everything)))]
        kind, damage = kinds[number % len(kinds)]
        content, may = damage(specimen.content, specimen.format, rng)
        name = f"{number:04} {kind} {specimen.name.lower()}"
        yield Bad(name, kind, specimen.format, content, specimen.truth, specimen.near, may)


def outcome(bad: Bad, pixels: np.ndarray, alpha: np.ndarray | None) -> str:
    """What a decoded file came out as: "right", "other" (which it may), or "WRONG"."""
    if bad.truth is not None and same(bad, pixels, alpha):
        return "right"
    return "other" if "other" in bad.may else "WRONG"


def same(bad: Bad, pixels: np.ndarray, alpha: np.ndarray | None) -> bool:
    """Whether it shows what was in it before."""
    assert bad.truth is not None
    wanted, over = bad.truth
    if pixels.shape != wanted.shape or pixels.dtype != wanted.dtype:
        return False
    if (alpha is None) != (over is None) or (over is not None and not np.array_equal(alpha, over)):
        return False
    return int(np.abs(pixels.astype(int) - wanted).max()) <= bad.near
