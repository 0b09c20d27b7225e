"""The command line: a module per verb, imported when it is called; each parses, calls, prints."""

from __future__ import annotations

import io
import os
import re
import sys
import time
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from unpaired import launch, telling
from unpaired.errors import SaidElsewhere, UserError
from unpaired.options import nearest
from unpaired.shortage import is_shortage

ABOUT = """usage: unpaired VERB [OPTIONS]

Image translation without paired examples.

  demo        train on embedded data for a few minutes and open a report on it
  train       train a method on two collections of pictures; resume a run
  board       watch runs while they train: TensorBoard, or a page that renews itself
  translate   turn pictures into the other domain with a trained run
  import      a run of weights from elsewhere, such as the authors' published models
  export      a run's network as one file: ONNX, OpenVINO or torch
  push        publish a run on the Hugging Face Hub, with a model card
  stylize     paint pictures in the style of others, without training
  evaluate    score a run on its test pictures: numbers, and report.html
  segmenter   train the network that reads generated photos for the FCN score
  reproduce   the paper's tables: train what is missing, print our figures beside theirs
  serve       a web page and an HTTP interface for trained runs
  study       can people tell generated pictures from real ones?
  data        list the named data sets, fetch the paper's; check a data set before training
  doctor      this machine: versions, devices, precision, memory, optional parts
  bench       this machine: step time, images/s, memory, share of the peak, what to expect
  completion  what makes Tab complete all this in bash, zsh and fish

`unpaired VERB --help` lists a verb's options. `unpaired --version` prints the version.
-v (--verbose) tells more and -q (--quiet) only results and errors, with every verb.
"""

VERBS = {
    "demo": "unpaired.cli.demo",
    "train": "unpaired.cli.train",
    "board": "unpaired.cli.board",
    "translate": "unpaired.cli.translate",
    "import": "unpaired.cli.importing",
    "export": "unpaired.cli.export",
    "push": "unpaired.cli.push",
    "stylize": "unpaired.cli.stylize",
    "evaluate": "unpaired.cli.evaluate",
    "segmenter": "unpaired.cli.segmenter",
    "reproduce": "unpaired.cli.reproduce",
    "serve": "unpaired.cli.serve",
    "study": "unpaired.cli.study",
    "data": "unpaired.cli.data",
    "doctor": "unpaired.cli.doctor",
    "bench": "unpaired.cli.bench",
    "completion": "unpaired.cli.completion",
}
"""Where each verb lives: a module with a function `run(arguments) -> exit code`."""


def main() -> None:
    """The entry point of the command `unpaired`."""
    if sys.stderr is None:  # closed by `2>&-`; print would write what is meant for it elsewhere
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files are any bytes
        sys.stdout.reconfigure(errors="surrogateescape")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code (docs/cli.md has them as a table).

    0 done; 1 something failed (see the message); 2 a mistake that the user can mend, in one line;
    130 and 143 interrupted by Ctrl-C and SIGTERM.
    """
    arguments, began = list(arguments), time.monotonic()
    try:
        telling.choose(_take_loudness(arguments))
        code = _dispatch(arguments)
        if sys.stdout is not None:  # as after `>&-`
            sys.stdout.flush()  # or a reader that left would be noticed after the last `except`
        telling.detail(f"took {time.monotonic() - began:.1f} seconds")
        return code
    except UserError as error:
        said = isinstance(error, SaidElsewhere) or not launch.is_first_here()
        return 2 if said else _complain(str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.strerror is None:
            raise
        where = f' "{error.filename}"' if error.filename else ""
        return _complain(
            f"{error.strerror.lower()}{where}; check the path, its rights and the disk"
        )
    except (MemoryError, RuntimeError) as error:  # torch says RuntimeError for both
        if not is_shortage(error):
            raise
        return _complain(
            "not enough memory; give a smaller --batch, --size or --filters, or free some "
            "(`unpaired doctor` says how much there is)"
        )
    finally:
        telling.choose("usual")  # of this command only, where Python calls several


def _complain(message: str) -> int:
    """One line for the error that is being handled; with -v where it comes from, too."""
    telling.detail(traceback.format_exc().rstrip())
    print("unpaired: error:", telling.harmless(" ".join(message.split())), file=sys.stderr)
    return 2


def _take_loudness(arguments: list[str]) -> telling.Loudness:
    """Remove -v and -q, wherever they stand; the loudness they ask for."""
    words = {"-v": "verbose", "--verbose": "verbose", "-q": "quiet", "--quiet": "quiet"}
    asked = {words[argument] for argument in arguments if argument in words}
    arguments[:] = [argument for argument in arguments if argument not in words]
    if len(asked) > 1:
        raise UserError("--verbose and --quiet contradict each other; give one")
    return "verbose" if "verbose" in asked else "quiet" if asked else "usual"


def _dispatch(arguments: list[str]) -> int:
    verb, *rest = arguments or ["--help"]
    if verb == "__complete":
        from unpaired.cli.completion.candidates import answer

        print(answer(rest, VERBS, dict(re.findall(r"^  (\S+) +(.*)", ABOUT, re.M))), end="")
        return 0
    if verb == "help":
        verb, *rest = [*rest, "--help"]
    if verb in ("-h", "--help"):
        print(ABOUT, end="")
        return 0
    if verb == "--version" or rest == ["--version"]:
        from unpaired import __version__

        print(f"unpaired {__version__}")
        return 0
    if verb not in VERBS:
        raise UserError(
            f'unknown {"option" if verb.startswith("-") else "verb"} "{verb}"'
            f"{nearest(verb, VERBS)}; `unpaired --help` lists the verbs"
        )
    if os.environ.get("NO_COLOR"):
        os.environ.setdefault("PYTHON_TYRO_ANSI_CODES", "False")  # tyro asks for the terminal only
    return int(import_module(VERBS[verb]).run(rest))
