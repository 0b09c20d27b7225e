"""Neural style transfer as a function from pictures to pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unpaired.data.conversions import from_unit, to_unit, with_channels, with_dtype
from unpaired.data.decode import Picture, Pixels, UnreadableImage, probe, read_picture
from unpaired.data.images import resize
from unpaired.data.layouts import list_images
from unpaired.errors import UserError
from unpaired.methods.gatys import GatysConfig, Style, style_of, stylize
from unpaired.networks.vgg import VGG16

SMALLEST = 16  # a pixel of the deepest layer


def check_size(size: int | None) -> None:
    """Raises: UserError if that is too small a side to paint at."""
    if size is not None and size < SMALLEST:
        raise UserError(f"--size is {size}; give {SMALLEST} pixels or more")


def style_files(style: Path) -> list[Path]:
    """The pictures of a style: one file, or all in a folder.

    Raises: UserError if there are none, or one is no picture of one or three channels.
    """
    if not style.exists():
        raise UserError(f'no image or folder at "{style}"; check --style')
    files = list_images(style) if style.is_dir() else [style]
    if not files:
        raise UserError(f'no images in "{style}"; check --style')
    for file in files:
        try:
            channels, _ = probe(file)
        except UnreadableImage as error:
            raise UserError(f'can\'t take the style of "{file}": {error.reason}') from None
        if channels not in (1, 3):
            raise UserError(f'can\'t take the style of "{file}": it has {channels} channels')
    return files


class Stylist:
    """Paints pictures in the style of one picture, or in what several have in common.

    Output size = input size; alpha is carried over as it is, and the network sees transparent
    pixels on white. Style pictures are resized so that their longer side is that of the picture
    painted, as in the paper, so that textures have comparable scales.

    Attributes:
        sources: the style's files.
    """

    def __init__(
        self,
        net: VGG16,
        sources: Sequence[Path],
        config: GatysConfig,
        *,
        size: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """Args: sources: as `style_files` finds them; size: longer side to paint at, None: as is.

        Raises: UserError if the size is too small.
        """
        check_size(size)
        self.sources = list(sources)
        self.net, self.config, self.size = net.to(device), config, size
        self.device = torch.device(device)
        self._style = lru_cache(maxsize=8)(self._measure)  # by longer side

    def pictures(self, pictures: Sequence[Picture]) -> list[Picture]:
        """Paint pictures, one after the other: RGB of the depth they had.

        Raises: UserError for channels that are no colours, or a style that can't be read.
        """
        return [self._paint(picture) for picture in pictures]

    def _paint(self, picture: Picture) -> Picture:
        pixels = with_channels(picture.on_white(), 3)
        height, width = pixels.shape[:2]
        longer = self.size or max(height, width)
        content = self._tensor(pixels, longer)
        painted = stylize(self.net, content, self._style(longer), self.config)
        unit = painted[0].permute(1, 2, 0).cpu().numpy()
        result = from_unit(unit, str(pixels.dtype))
        return Picture(resize(result, height, width, "bicubic"), picture.alpha)

    def _measure(self, longer: int) -> Style:
        return style_of(self.net, self._style_pictures(longer))

    def _style_pictures(self, longer: int) -> Iterator[Tensor]:
        for source in self.sources:
            try:
                pixels = read_picture(source, at_least=longer).on_white()
            except UnreadableImage as error:
                raise UserError(f'can\'t take the style of "{source}": {error.reason}') from None
            yield self._tensor(with_channels(with_dtype(pixels, "uint8"), 3), longer)

    def _tensor(self, pixels: Pixels, longer: int) -> Tensor:
        """(H, W, 3) -> (1, 3, h, w) in [-1, 1], whose longer side is that long."""
        scale = longer / max(pixels.shape[:2])
        height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
        unit = to_unit(resize(pixels, height, width, "bicubic"))
        planes = np.ascontiguousarray(unit.transpose(2, 0, 1))
        return torch.from_numpy(planes)[None].to(self.device)
