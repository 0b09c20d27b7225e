"""The command line: a module per verb, imported when it is called; each parses, calls, prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from unpaired import launch
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
  stylize     paint pictures in the style of others, without training
  evaluate    score a run on its test pictures: numbers, and report.html
  segmenter   train the network that reads generated photos for the FCN score
  reproduce   the paper's tables: train what is missing, print our figures beside theirs
  serve       a web page and an HTTP interface for trained runs
  study       can people tell generated pictures from real ones?
  data        list the named data sets, fetch the paper's; check a data set before training
  doctor      this machine: versions, devices, precision, memory, optional parts
  bench       this machine: step time, images/s, memory, share of the peak, what to expect

`unpaired VERB --help` lists a verb's options. `unpaired --version` prints the version.
"""

VERBS = {
    "demo": "unpaired.cli.demo",
    "train": "unpaired.cli.train",
    "board": "unpaired.cli.board",
    "translate": "unpaired.cli.translate",
    "import": "unpaired.cli.importing",
    "export": "unpaired.cli.export",
    "stylize": "unpaired.cli.stylize",
    "evaluate": "unpaired.cli.evaluate",
    "segmenter": "unpaired.cli.segmenter",
    "reproduce": "unpaired.cli.reproduce",
    "serve": "unpaired.cli.serve",
    "study": "unpaired.cli.study",
    "data": "unpaired.cli.data",
    "doctor": "unpaired.cli.doctor",
    "bench": "unpaired.cli.bench",
}
"""Where each verb lives: a module with a function `run(arguments) -> exit code`."""


def main() -> None:
    """The entry point of the command `unpaired`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code.

    0 done; 1 something failed (see the message); 2 a mistake that the user can mend, in one line;
    130 and 143 interrupted by Ctrl-C and SIGTERM.
    """
    try:
        return _dispatch(list(arguments))
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


def _complain(message: str) -> int:
    print("unpaired: error:", " ".join(message.split()), file=sys.stderr)
    return 2


def _dispatch(arguments: list[str]) -> int:
    verb, *rest = arguments or ["--help"]
    if verb in ("-h", "--help"):
        print(ABOUT, end="")
        return 0
    if verb == "--version":
        from unpaired import __version__

        print(f"unpaired {__version__}")
        return 0
    if verb not in VERBS:
        raise UserError(
            f'unknown {"option" if verb.startswith("-") else "verb"} "{verb}"'
            f"{nearest(verb, VERBS)}; `unpaired --help` lists the verbs"
        )
    return int(import_module(VERBS[verb]).run(rest))
