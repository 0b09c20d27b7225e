"""Fuzz the decode policy with atheris: no bytes may do more than be unreadable.

    pip install 'unpaired[fuzz]'
    python -m benchmarks.fuzz_decode CORPUS [-max_total_time=600] [other options of libFuzzer]

CORPUS is a folder, filled with the specimens of the tests if it is empty. Every input is read as a
picture and by its header alone, which have to agree; composited; and its memory is limited
(-rss_limit_mb=2048). Pictures of over a million pixels are refused here, so that time goes into
new ground and not into large blank ones. libFuzzer prints executions and coverage at the end: that
of the Python code of unpaired, Pillow and tifffile, and not of the decoders in C, for wheels have
no instrumentation.
"""

from __future__ import annotations

import sys
from pathlib import Path


def fill(corpus: Path) -> None:
    """One small file of each kind."""
    from tests.data.mutations import specimens

    corpus.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        for number, specimen in enumerate(specimens()):
            (corpus / f"{number:03}").write_bytes(specimen.content)


def main() -> None:
    import atheris

    with atheris.instrument_imports(include=["unpaired.data", "PIL", "tifffile"]):
        import unpaired.data.decode as decode
        import unpaired.data.picture as picture
        import unpaired.data.tiff as tiff
        from unpaired.data.opening import Member

    picture.MAX_PIXELS, tiff.MAX_BYTES = 1 << 20, 1 << 23

    def one_input(content: bytes) -> None:
        file = Member("fuzzed", content)
        try:
            found = decode.read_picture(file)
        except decode.UnreadableImage as error:
            if not error.reason or "\n" in error.reason:
                raise RuntimeError("no line of reason") from error
            return
        height, width, channels = found.pixels.shape
        assert height * width <= picture.MAX_PIXELS
        assert decode.probe(file) == (channels, str(found.pixels.dtype))
        assert found.alpha is None or found.alpha.shape == (height, width)
        assert found.on_white().shape == found.pixels.shape

    options = [a for a in sys.argv[1:] if a.startswith("-")]
    corpus = [a for a in sys.argv[1:] if not a.startswith("-")]
    if len(corpus) != 1:
        raise SystemExit(__doc__)
    fill(Path(corpus[0]))
    atheris.Setup(
        [sys.argv[0], "-rss_limit_mb=2048", "-max_len=65536", *options, *corpus], one_input
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
