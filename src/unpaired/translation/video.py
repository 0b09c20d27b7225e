"""Films: frame by frame, with their sound, their times, and constant memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from torch import Tensor

from unpaired.data.conversions import with_channels, with_dtype
from unpaired.data.decode import Picture, Pixels
from unpaired.errors import UserError, reason_of
from unpaired.translation.base import BaseTranslator
from unpaired.translation.flicker import Flicker, is_cut
from unpaired.translation.norms import Statistics, normed_by, pooled
from unpaired.translation.tiling.large import network_of
from unpaired.whole import passing_name

X264 = ("libx264", {"crf": "16", "preset": "medium"})
CONTAINERS = {
    ".mp4": ("mp4", *X264),
    ".mov": ("mov", *X264),
    ".mkv": ("matroska", *X264),
    ".webm": ("webm", "libvpx-vp9", {"crf": "24", "b": "0", "row-mt": "1"}),
}
"""By suffix: container, encoder, its options. All are lossy, but hardly visibly so."""
BT709 = 1  # as H.273 numbers it: for primaries, transfer and matrix alike
LIMITED = 1


@dataclass(frozen=True)
class Film:
    """What came out."""

    frames: int
    flicker: float | None
    """See `Flicker`; None if nothing stood still."""


class Smoothed:
    """Norm statistics as an exponential average over the frames of a scene.

    An instance norm takes the light of a whole frame out of it, so that something bright that comes
    into view changes everything else. Averaged over time, that happens slowly.
    """

    def __init__(self, share: float) -> None:
        """Args: share: of the past in the average, 0 (none) to below 1."""
        self.share = share
        self.kept: dict[int, Statistics] = {}

    def __call__(self, place: int, x: Tensor) -> Statistics:
        mean, variance = pooled(x)
        if place in self.kept:
            was_mean, was_variance = self.kept[place]
            mean = self.share * was_mean + (1 - self.share) * mean
            variance = self.share * was_variance + (1 - self.share) * variance
        self.kept[place] = mean, variance
        return mean, variance

    def forget(self) -> None:
        """Another scene begins."""
        self.kept.clear()


def translate_video(
    translator: BaseTranslator,
    source: Path,
    out: Path,
    *,
    direction: str | None = None,
    smooth: float = 0.0,
    overwrite: bool = False,
    on_frame: Callable[[int, int], None] | None = None,
) -> Film:
    """Translate every frame; sound is copied as it is, and every frame keeps its time.

    Args:
        out: its suffix, one of CONTAINERS, says what is written.
        smooth: share of the past in the norms' statistics; see `Smoothed`.
        on_frame: called with (frames done, frames in all; 0 if the file doesn't say).
    Raises: UserError if the film can't be read, the file can't be written, or is there already.
    """
    way = translator.direction(direction)
    if not 0 <= smooth < 1:
        raise UserError(f"--smooth is {smooth}; give 0 or more, less than 1")
    if translator.span(way):
        raise UserError(
            "films hold 0 to 255, but this run takes values of another range (its --images.range); "
            "translate pictures"
        )
    container, codec, options = _checked(source, out, overwrite)
    smoothed = Smoothed(smooth) if smooth else None
    network = None
    if smoothed:  # it changes the network itself
        translator = translator.in_torch()
        network = network_of(translator.in_torch().method, way)
    flicker, count = Flicker(), 0

    def translated(frame: Pixels) -> Pixels:
        if smoothed and flicker.source is not None and is_cut(flicker.source, frame):
            smoothed.forget()
        (made,) = translator.pictures([Picture(frame)], way)
        pixels = with_channels(with_dtype(made.pixels, "uint8"), 3)
        flicker.add(frame, pixels)
        return pixels

    try:
        with passing_name(out) as passing:
            with (
                av.open(str(source)) as reader,
                av.open(str(passing), "w", format=container) as writer,
                normed_by(network, smoothed) if network and smoothed else contextlib.nullcontext(),
            ):
                if not reader.streams.video:
                    raise UserError(f'"{source}" has no pictures')
                film = _Copy(reader, writer, codec, options, out)
                for frame in film.frames():
                    count += 1
                    film.write(frame, translated)
                    if on_frame:
                        on_frame(count, film.total)
                film.finish()
            if not count:
                raise UserError(f'"{source}" has no frame that can be read')
            passing.replace(out)
    except av.FFmpegError as error:
        raise UserError(_reason(error, source, out, count)) from None
    except OSError as error:
        reason = reason_of(error)
        raise UserError(f'cannot write "{out}": {reason}; make room or mend the folder') from None
    return Film(count, flicker.value)


class _Copy:
    """From one container to another: sound packet by packet, pictures frame by frame."""

    def __init__(
        self, reader: Any, writer: Any, codec: str, options: dict[str, str], out: Path
    ) -> None:
        self.reader, self.writer = reader, writer
        self.codec, self.options = codec, options
        self.pictures = reader.streams.video[0]
        self.pictures.thread_type = "AUTO"
        self.total = self.pictures.frames
        self.rate = self.pictures.average_rate or self.pictures.guessed_rate or Fraction(25)
        self.encoder: Any = None
        self.last: int | None = None
        self.sound = {}
        for stream in reader.streams.audio:
            try:
                self.sound[stream.index] = writer.add_stream_from_template(stream)
            except (ValueError, av.FFmpegError):
                name = stream.codec_context.name
                raise UserError(
                    f"{out.suffix} can't hold the sound ({name}); give an --out that ends in .mkv"
                ) from None

    def frames(self) -> Iterator[Any]:
        """Decoded pictures in order; sound between them is written on the way."""
        waiting: list[Any] = []  # sound, until the header is written with the first picture
        for packet in self.reader.demux(self.pictures, *self.reader.streams.audio):
            if packet.stream.index != self.pictures.index:
                if packet.dts is not None:
                    waiting.append(packet)
            else:
                yield from packet.decode()
            if self.encoder is not None:
                for sound in waiting:
                    sound.stream = self.sound[sound.stream.index]
                    self.writer.mux(sound)
                waiting.clear()

    def write(self, frame: Any, translated: Callable[[Pixels], Pixels]) -> None:
        """One frame, upright, at its own time."""
        turns = round(getattr(frame, "rotation", 0) / 90) % 4
        pixels = np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))
        made = translated(pixels)
        if self.encoder is None:
            self.encoder = self._encoder(made)
        new = av.VideoFrame.from_ndarray(np.ascontiguousarray(made), format="rgb24")
        new = new.reformat(
            format=self.encoder.pix_fmt, dst_colorspace="ITU709", dst_color_range="MPEG"
        )
        new.pts, new.time_base = self._time(frame), self.pictures.time_base
        self.writer.mux(self.encoder.encode(new))

    def finish(self) -> None:
        """What encoders still hold back."""
        if self.encoder is not None:
            self.writer.mux(self.encoder.encode(None))

    def _encoder(self, pixels: Pixels) -> Any:
        height, width = pixels.shape[:2]
        encoder = self.writer.add_stream(self.codec, rate=self.rate, options=self.options)
        encoder.width, encoder.height = width, height
        # halved colours need even sides
        encoder.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
        encoder.time_base = encoder.codec_context.time_base = self.pictures.time_base
        context = encoder.codec_context
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = LIMITED
        return encoder

    def _time(self, frame: Any) -> int:
        """The frame's own time; one frame after the last where the file doesn't say."""
        step = max(1, round(1 / (self.rate * self.pictures.time_base)))
        time = frame.pts
        if time is None or (self.last is not None and time <= self.last):
            time = 0 if self.last is None else self.last + step
        self.last = time
        return int(time)


def is_video(path: Path) -> bool:
    """By its name: a film that can be written."""
    return path.suffix.lower() in CONTAINERS


def _checked(source: Path, out: Path, overwrite: bool) -> tuple[str, str, dict[str, str]]:
    if not is_video(out):
        raise UserError(f'--out "{out}" is no film; give one of {", ".join(CONTAINERS)}')
    if not source.is_file():
        raise UserError(f'no film at "{source}"; check the path')
    if out.is_dir() or not out.parent.is_dir():
        raise UserError(f'--out "{out}" is a folder, or in none; give a file in an existing folder')
    if out.exists():
        if out.samefile(source):
            raise UserError(f'--out "{out}" is the input; choose another --out')
        if not overwrite:
            raise UserError(f'"{out}" is there already; give --overwrite or another --out')
    return CONTAINERS[out.suffix.lower()]


def _reason(error: av.FFmpegError, source: Path, out: Path, count: int) -> str:
    why = (error.strerror or str(error)).lower()
    if isinstance(error, OSError) and error.errno in (28, 30, 13, 122):
        return f'cannot write "{out}": {why}; make room or mend the folder'
    where = f"after {count} frames" if count else "from its first byte on"
    return f'"{source}" can\'t be read {where} ({why}); mend or cut it'
