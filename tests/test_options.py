"""What is said of an option that there isn't."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from unpaired.cli import run
from unpaired.options import REFERENCE, nearest_option

DOCS = Path(__file__).parents[1] / "docs"


ROWS = [
    line.split("|")[1:3]
    for line in (DOCS / "from-reference.md").read_text().splitlines()
    if line.startswith("| `--")
]
PROMISED = [
    ("--" + theirs.replace("_", "-"), ours)
    for left, ours in ROWS
    for theirs in re.findall(r"--(\w+)", left)
    if re.search("--(?!nproc)", ours) and theirs != "model"  # which is a verb's word here
]
"""Every option of theirs for which the page names one of ours, with what it says there."""
VERBS = ("train cyclegan", "train pix2pix", "translate", "evaluate")


@pytest.mark.parametrize(("theirs", "ours"), PROMISED)
def test_an_option_of_theirs_is_answered_as_the_page_says(theirs, ours):
    said = set(re.findall(r"--[\w.-]+", ours))
    assert said & set(re.findall(r"--[\w.-]+", REFERENCE[theirs])), said


@pytest.mark.parametrize("theirs", REFERENCE)
def test_no_answer_is_missing_from_the_page(theirs):
    assert theirs in dict(PROMISED)


@pytest.fixture(scope="module")
def options():
    """By verb, the options that its help names."""
    found = {}
    for verb in VERBS:
        page = io.StringIO()
        with contextlib.redirect_stdout(page), contextlib.suppress(SystemExit):
            run([*verb.split(), "--help"])
        found[verb] = set(re.findall(r"--[a-z][\w.-]*", page.getvalue()))
    return found


def test_whatever_the_page_calls_an_option_of_ours_is_one(options):
    every = set().union(*options.values()) | {"--nproc_per_node"}  # torchrun's
    said = {name for _, ours in ROWS for name in re.findall(r"--[a-z][\w.-]*", ours)}
    assert said - every == set()


@pytest.mark.parametrize(
    ("theirs", "ours"), [("lambda_A", "--loss.cycle-x"), ("netD", "--discriminator.kind")]
)
def test_nested_options_are_found_too(theirs, ours, capsys):
    assert run(["train", "cyclegan", f"--{theirs}", "3"]) == 2
    assert f"here it is {ours})" in capsys.readouterr().err


def test_an_option_with_two_names_is_proposed_by_its_first(capsys):
    assert run(["board", "runs", "--reprot"]) == 2
    assert "(did you mean --report?)" in capsys.readouterr().err


def test_an_option_that_this_verb_lacks_is_not_proposed():
    assert nearest_option("--batch_size", ["--out"]) == ""


def test_the_longest_option_that_a_word_begins_with_is_meant():
    assert nearest_option("--images.load-size", ["--images", "--images.load"]) == (
        " (did you mean --images.load?)"
    )
    assert nearest_option("--batchsize", ["--batch"]) == ""  # left to what is near in letters
