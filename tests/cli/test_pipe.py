"""One picture through a pipe; colours on terminals only; exit codes as seen from outside."""

import io
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import unpaired
from tests.cli.terminal import in_terminal
from tests.cli.test_wrong_use import TINY
from tests.training.runs import write_dataset
from unpaired.cli import pipe, run

COMMAND = [sys.executable, "-m", "unpaired"]
SOURCE = str(Path(unpaired.__file__).parents[1])


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a run, and a picture of 20 x 24 pixels."""
    place = tmp_path_factory.mktemp("pipe")
    data = write_dataset(place / "set")
    assert run([*f"train cyclegan --data {data} --steps 1 --out {place}/run".split(), *TINY]) == 0
    pixels = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(place / "a.png")
    assert (
        run(f"translate {place}/run {place}/a.png --out {place}/out --backend torch".split()) == 0
    )
    return place


def outside(command: str, place: Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run it in `place`, with `given` on its standard input."""
    return subprocess.run(
        [*COMMAND, *command.split()],
        input=given,
        capture_output=True,
        cwd=place,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": SOURCE},
        timeout=120,
    )


def test_a_picture_goes_through_the_pipe_and_nothing_else_does(place):
    made = outside("translate run - --backend torch", place, (place / "a.png").read_bytes())
    assert made.returncode == 0, made.stderr
    assert made.stdout == (place / "out" / "a.png").read_bytes()
    assert made.stderr.startswith(b"computed by torch")
    quiet = outside("-q translate run a.png --out - --backend torch", place)
    assert (quiet.stdout, quiet.stderr) == (made.stdout, b"")


class Bytes:
    """A standard stream of bytes, such as subprocesses have, in this process."""

    def __init__(self, content: bytes = b"") -> None:
        self.buffer = io.BytesIO(content)

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        return self.buffer.write(text.encode())

    def flush(self) -> None:
        pass


def piped(command: str, given: bytes, monkeypatch) -> tuple[int, bytes]:
    """(exit code, what was written), in this process, which has torch already."""
    out = Bytes()
    monkeypatch.setattr("sys.stdin", Bytes(given))
    monkeypatch.setattr("sys.stdout", out)
    return run([*command.split(), "--backend", "torch"]), out.buffer.getvalue()


@pytest.mark.parametrize("format", ["png", "tif", "jpg", "webp", "bmp", "gif"])
def test_every_format_is_read_from_standard_input(format, place, monkeypatch):
    given = io.BytesIO()
    named = {"tif": "TIFF", "jpg": "JPEG"}.get(format, format.upper())
    Image.open(place / "a.png").save(given, named)
    code, made = piped(f"translate {place}/run -", given.getvalue(), monkeypatch)
    assert code == 0
    assert Image.open(io.BytesIO(made)).size == (20, 24)


@pytest.mark.parametrize("start", [b"", b"some text"])
def test_what_is_no_picture_is_refused_by_its_first_bytes(start, place, monkeypatch, capsys):
    stream = Bytes(start + bytes(5_000_000))
    monkeypatch.setattr("sys.stdin", stream)
    monkeypatch.setattr("sys.stdout", Bytes())
    assert run(f"translate {place}/run -".split()) == 2
    assert "not a whole image" in capsys.readouterr().err
    assert stream.buffer.tell() < 10_000


@pytest.mark.parametrize("format", ["png", "tif", "jpg", "webp", "bmp"])
def test_the_format_is_the_one_asked_for(format, place, monkeypatch):
    given = (place / "a.png").read_bytes()
    code, made = piped(f"translate {place}/run - --format {format}", given, monkeypatch)
    assert code == 0
    named = {"tif": "TIFF", "jpg": "JPEG"}.get(format, format.upper())
    assert Image.open(io.BytesIO(made)).format == named


def test_standard_input_into_a_file_takes_the_format_of_its_name(place, monkeypatch, tmp_path):
    given, out = (place / "a.png").read_bytes(), tmp_path / "b.jpeg"
    command = f"translate {place}/run - --out {out}"
    assert piped(command, given, monkeypatch) == (0, b"")
    assert Image.open(out).format == "JPEG"
    before = out.read_bytes()
    assert piped(command, given, monkeypatch) == (2, b"")
    assert out.read_bytes() == before
    assert piped(f"{command} --overwrite --json {tmp_path}/j", given, monkeypatch) == (0, b"")
    assert '"translated": 1' in (tmp_path / "j").read_text()


def test_one_picture_goes_into_one_file(place, tmp_path, capsys):
    out = tmp_path / "b.png"
    command = f"translate {place}/run {place}/a.png --backend torch --out".split()
    assert run([*command, str(out)]) == 0
    assert out.read_bytes() == (place / "out" / "a.png").read_bytes()
    assert run([*command, str(out)]) == 2
    assert "give --overwrite" in capsys.readouterr().err
    before = (place / "a.png").read_bytes()
    assert run([*command, str(place / "a.png"), "--overwrite"]) == 2
    assert "is the input" in capsys.readouterr().err
    assert (place / "a.png").read_bytes() == before


PNG_START = b"\x89PNG\r\n\x1a\n"
MISTAKES = {
    "nothing": ("translate RUN -", b"", "standard input: the file is empty"),
    "a text": ("translate RUN -", b"no picture at all", "not a whole image"),
    "half a picture": ("translate RUN -", None, "standard input: "),
    "a film": ("translate RUN -", b"\0\0\0\x20ftypisom\0\0", "films are translated from files"),
    "too many": ("translate RUN - a.png", b"", '"-" stands for one picture'),
    "several to one": ("translate RUN a.png b.png --out -", b"", '"-" stands for one picture'),
    "several to one file": ("translate RUN a.png b.png --out c.png", b"", "is for one picture"),
    "a folder to one file": ("translate RUN . --out c.png", b"", "is for one picture"),
    "a folder to one": ("translate RUN . --out -", b"", "is a folder"),
    "nothing there": ("translate RUN none.png --out -", b"", 'no image at "none.png"'),
    "into a folder": ("translate RUN - --out .", b"", "give --out FILE"),
    "into no folder": ("translate RUN - --out no/b.png", b"", "a folder that is not there"),
    "into no format": ("translate RUN - --out b.xyz", b"", "names no format"),
    "two formats": ("translate RUN - --out b.png --format jpg", b"", "contradicts"),
    "no run": ("translate nowhere -", PNG_START, "standard input: "),
}


@pytest.mark.parametrize(("command", "given", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_line_and_nothing_is_written(
    command, given, message, place, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    if given is None:
        given = (place / "a.png").read_bytes()[:700]
    code, made = piped(command.replace("RUN", str(place / "run")), given, monkeypatch)
    said = capsys.readouterr().err
    assert (code, made) == (2, b"")
    assert said.count("\n") == 1
    assert message in said
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_ends_it_quietly(place):
    """As `| head -c 10` does; also where the output is short, and written at the end only."""
    for command in ("translate run a.png --out - --backend torch", "data list", "--help"):
        reader, writer = os.pipe()
        os.close(reader)
        process = subprocess.Popen(
            [*COMMAND, *command.split()],
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.PIPE,
            cwd=place,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": SOURCE},
        )
        os.close(writer)
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
        assert b"Broken" not in said
        assert b"Traceback" not in said


def test_no_picture_is_written_to_a_terminal(place):
    code, shown = in_terminal(
        [*COMMAND, "translate", "run", "a.png", "--out", "-"], cwd=place, PYTHONPATH=SOURCE
    )
    assert code == 2
    assert shown.startswith(b"unpaired: error: a picture is not written to a terminal")
    code, shown = in_terminal(
        [*COMMAND, "translate", "run", "-", "--out", "c.png"], cwd=place, PYTHONPATH=SOURCE
    )
    assert code == 2
    assert shown.startswith(b"unpaired: error: standard input is a terminal")


def test_colours_are_for_terminals_that_have_not_declined_them(place):
    command = [*COMMAND, "translate", "--help"]
    assert b"\x1b" not in outside("translate --help", place).stdout
    assert b"\x1b[" in in_terminal(command, PYTHONPATH=SOURCE)[1]
    for declined in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        code, shown = in_terminal(command, PYTHONPATH=SOURCE, **declined)
        assert code == 0
        assert b"usage: unpaired translate" in shown
        assert b"\x1b" not in shown


@pytest.mark.slow
def test_exit_codes_are_those_of_the_table(place, tmp_path):
    assert outside("doctor --help", place).returncode == 0
    (tmp_path / "bad.png").write_bytes(b"no picture")
    partly = outside(f"translate run a.png {tmp_path}/bad.png --out {tmp_path}/o", place)
    assert partly.returncode == 1
    assert b"failed: " in partly.stderr
    assert outside("translate run nowhere.png --out new", place).returncode == 2


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_give_the_exit_codes_of_the_table(sent, code, place, tmp_path):
    process = subprocess.Popen(
        [*COMMAND, *f"train cyclegan --data set --minutes 5 --out {tmp_path}/run".split(), *TINY],
        cwd=place,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": SOURCE},
        stderr=subprocess.PIPE,
    )
    end = time.monotonic() + 60
    while not (tmp_path / "run" / "metrics.jsonl").exists() and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said


def test_verbose_tells_where_an_error_comes_from_and_quiet_only_the_error(place, capsys):
    command = f"translate {place}/nowhere {place}/a.png --out {place}/new".split()
    assert run(command) == 2
    usual = capsys.readouterr().err
    assert usual.count("\n") == 1
    assert run(["-q", *command]) == 2
    assert capsys.readouterr().err == usual
    assert run([*command, "-v"]) == 2
    loud = capsys.readouterr().err
    assert loud.startswith("Traceback")
    assert loud.endswith(usual)


def test_quiet_training_says_nothing_but_its_results(place, tmp_path, capsys):
    command = f"train cyclegan --data {place}/set --steps 1 --out {tmp_path}/run"
    assert run([*command.split(), *TINY, "-q"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith(str(tmp_path / "run"))
    assert run(["-v", *command.replace("/run", "/other").split(), *TINY]) == 0
    assert "took " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("translate run - <&-", 2, "standard input is closed"),
        ("translate run - <a.png >&-", 2, "standard output is closed"),
        ("data list >&-", 0, ""),
        ("translate --help >&-", 0, ""),
        ("__complete", 0, ""),
    ],
)
def test_what_is_closed_is_said_or_does_not_matter(command, code, words, place):
    unpaired = f"exec {shlex.quote(sys.executable)} -m unpaired {command}"
    done = subprocess.run(unpaired, shell=True, cwd=place, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert done.stderr.count("\n") == bool(words)


def test_an_error_goes_nowhere_if_standard_error_is_closed(place):
    unpaired = f"exec {shlex.quote(sys.executable)} -m unpaired translate run - 2>&-"
    done = subprocess.run(unpaired, shell=True, cwd=place, capture_output=True, input=b"no picture")
    assert (done.returncode, done.stdout) == (2, b"")


def test_what_libraries_print_does_not_end_up_in_the_picture(tmp_path, monkeypatch, capfdbinary):
    def translated(*_):
        print("a library's greeting")
        return b"the picture", "nothing"

    (tmp_path / "a.png").write_bytes(b"x")
    monkeypatch.setattr(pipe, "translated", translated)
    assert run(["translate", "RUN", str(tmp_path / "a.png"), "--out", "-"]) == 0
    out, error = capfdbinary.readouterr()
    assert out == b"the picture"
    assert b"greeting" in error
