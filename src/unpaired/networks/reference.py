"""Generators of the authors' PyTorch code, recognised by the names and shapes of their weights.

Known are the ResNet and the U-Net of pytorch-CycleGAN-and-pix2pix, and the ResNet of CUT (Park et
al. 2020), which may filter against aliasing. A name is read as its numbers, the places of layers in
`nn.Sequential`s, and what it ends in: "module.model.10.conv_block.1.weight" stands for a weight at
(10, 1). What comes before the first number tells the networks of one file apart.

A layout is guessed from a few shapes; then every place and shape that it must have is compared with
what there is, so that nothing is taken for what it isn't.
"""

from __future__ import annotations

from collections.abc import Mapping

from unpaired.networks.blocks import Norm
from unpaired.networks.layout import Layout
from unpaired.networks.places import UNCOUNTED, Key, Shape, Unrecognised, dotted, places

KNOWN = (
    "known are the ResNet and U-Net generators of the authors' CycleGAN and pix2pix code, and the "
    "ResNet of CUT"
)


def parts(names: Mapping[str, object]) -> dict[str, dict[Key, str]]:
    """The networks of a file, by what their names begin with; of each, its names by key.

    A network in which two names have one key is none that is known, and is left out.
    """
    found: dict[str, dict[Key, str]] = {}
    twice = set()
    for name in names:
        *words, leaf = name.split(".")
        first = next((i for i, word in enumerate(words) if word.isdecimal()), None)
        if first is None or leaf == UNCOUNTED:
            continue
        prefix = ".".join(words[:first])
        key = tuple(int(word[:9]) for word in words[first:] if word.isdecimal()), leaf
        if key in found.setdefault(prefix, {}):
            twice.add(prefix)
        found[prefix][key] = name
    return {prefix: keys for prefix, keys in found.items() if prefix not in twice}


def recognise(shapes: Mapping[Key, Shape], norm: Norm | None = None) -> Layout:
    """What the weights are the weights of.

    The norm is not always written in them; `norm_of` has the rule.

    Args: norm: what the user knows better.
    Raises: Unrecognised, which says what was found instead.
    """
    at = {(path, leaf): shape for (path, leaf), shape in shapes.items() if len(shape) == 4}
    try:
        if at.get(((1,), "weight"), ())[2:] == (7, 7):
            layout = _resnet(shapes, norm)
        elif at.get(((0,), "weight"), ())[2:] == (4, 4):
            if ((2,), "weight") in at:
                raise Unrecognised("this is a PatchGAN discriminator; give the generator's file")
            layout = _unet(shapes, norm)
        else:
            raise Unrecognised(f"it begins with {_told(shapes)}; {KNOWN}")
        wanted = dict(places(layout))
    except (KeyError, IndexError) as error:
        where = error.args[0] if isinstance(error, KeyError) else "a convolution"
        raise Unrecognised(f"there is nothing at {dotted(where)}; {KNOWN}") from None
    except Unrecognised:
        raise
    except ValueError as error:
        raise Unrecognised(f"{error}; {KNOWN}") from None
    for key in wanted.keys() | shapes.keys():
        if wanted.get(key) != shapes.get(key):
            raise Unrecognised(
                f"it looks like a {layout.in_words()}, but {dotted(key)} is "
                f"{_shape(shapes.get(key))} instead of {_shape(wanted.get(key))}; {KNOWN}"
            )
    return layout


def norm_of(
    kind: str, *, affine: bool, statistics: bool, bias: bool, asked: Norm | None = None
) -> Norm:
    """The norm that a file's generator translates by.

    - Weights and no running statistics: affine instance norm.
    - Neither weights nor biases of convolutions before it: no norm (the code's `--norm none`; its
      instance norm always comes with biases). An instance norm without either looks the same.
    - No weights, but biases: instance norm. Running statistics, which files from before 2018 have,
      are not used, as their code did not use them.
    - Weights and running statistics: batch norm. A U-Net is pix2pix's, whose paper norms by the
      picture at hand when translating too (Isola et al. 2017, sec. 3.3): affine instance norm.

    Args: asked: taken if the weights are there for it.
    Raises: Unrecognised if they aren't.
    """
    can: list[Norm] = ["instance", "none"]
    if affine:
        can = ["batch", "instance-affine"] if statistics else ["instance-affine"]
    if asked is not None:
        if asked not in can:
            raise Unrecognised(f"--norm is {asked}, but its weights allow {' or '.join(can)}")
        return asked
    if affine:
        return "batch" if statistics and kind == "resnet" else "instance-affine"
    return "instance" if bias or statistics else "none"


def _norm(
    shapes: Mapping[Key, Shape], kind: str, path: tuple[int, ...], bias: bool, asked: Norm | None
) -> tuple[Norm, bool]:
    """The norm, and whether there are running statistics, by the norm layer at `path`."""
    statistics = (path, "running_mean") in shapes
    affine = (path, "weight") in shapes
    return norm_of(kind, affine=affine, statistics=statistics, bias=bias, asked=asked), statistics


def _resnet(shapes: Mapping[Key, Shape], asked: Norm | None) -> Layout:
    filters, channels_in = shapes[(1,), "weight"][:2]
    blocks = sorted({path[0] for path, _ in shapes if len(path) == 2})
    blur_down = ((7,), "filt") in shapes
    bias = ((1,), "bias") in shapes
    norm, statistics = _norm(shapes, "resnet", (2,), bias, asked)
    last = max(path[0] for path, _ in shapes)
    return Layout(
        "resnet",
        channels_in,
        shapes[(last,), "weight"][0],
        filters,
        len(blocks),
        norm,
        bias,
        dropout=bool(blocks) and len(shapes.get(((blocks[0], 6), "weight"), ())) == 4,
        blur_down=blur_down,
        blur_up=((len(blocks) + (12 if blur_down else 10),), "filt") in shapes,
        statistics=statistics,
    )


def _unet(shapes: Mapping[Key, Shape], asked: Norm | None) -> Layout:
    filters, channels_in = shapes[(0,), "weight"][:2]
    depth = 2
    inner: tuple[int, ...] = (1, 3)
    while ((*inner, 1), "weight") in shapes:
        depth, inner = depth + 1, (*inner, 3)
    bias = ((0,), "bias") in shapes
    norm, statistics = _norm(shapes, "unet", (1, 6 if depth > 2 else 4), bias, asked)
    channels_out = shapes[(3,), "weight"][1]
    return Layout(
        "unet", channels_in, channels_out, filters, depth, norm, bias, statistics=statistics
    )


def _told(shapes: Mapping[Key, Shape]) -> str:
    """The first weights, for people."""
    some = [f"{dotted(key)} {_shape(shape)}" for key, shape in list(shapes.items())[:3]]
    return ", ".join(some) if some else "nothing"


def _shape(shape: Shape | None) -> str:
    return "missing" if shape is None else "x".join(map(str, shape)) or "a number"
