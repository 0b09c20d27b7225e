"""Small films for tests."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_film(
    path: Path,
    frames: list[np.ndarray],
    *,
    times: list[int] | None = None,
    rate: int = 25,
    sound: str | None = "aac",
    codec: str = "libx264",
) -> Path:
    """Frames (H, W, 3) uint8 at `times` (in 1/1000 s), lossless but for halved colours."""
    height, width = frames[0].shape[:2]
    times = times or [1000 * i // rate for i in range(len(frames))]
    with av.open(str(path), "w") as film:
        options = {"crf": "0", "preset": "ultrafast"} if codec == "libx264" else {}
        pictures = film.add_stream(codec, rate=rate, options=options)
        pictures.width, pictures.height = width, height
        pictures.pix_fmt = "yuv420p" if height % 2 == width % 2 == 0 else "yuv444p"
        pictures.codec_context.time_base = Fraction(1, 1000)
        ear = film.add_stream(sound, rate=48000, layout="mono") if sound else None
        for time, pixels in zip(times, frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            film.mux(pictures.encode(frame))
        film.mux(pictures.encode(None))
        if ear:
            seconds = times[-1] / 1000 + 0.04
            wave = np.sin(np.arange(int(48000 * seconds)) / 20).astype(np.float32)
            for start in range(0, len(wave), 1024):
                piece = av.AudioFrame.from_ndarray(
                    wave[None, start : start + 1024], format="fltp", layout="mono"
                )
                piece.sample_rate, piece.pts = 48000, start
                piece.time_base = Fraction(1, 48000)
                film.mux(ear.encode(piece))
            film.mux(ear.encode(None))
    return path


def read_film(path: Path) -> tuple[list[np.ndarray], list[Fraction]]:
    """Frames, and their times in seconds."""
    with av.open(str(path)) as film:
        frames = list(film.decode(film.streams.video[0]))
    return [f.to_ndarray(format="rgb24") for f in frames], [f.pts * f.time_base for f in frames]


def sound_of(path: Path) -> list[bytes]:
    """The packets of all sound."""
    with av.open(str(path)) as film:
        return [bytes(p) for p in film.demux(film.streams.audio) if p.size]
