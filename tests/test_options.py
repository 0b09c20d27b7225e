"""What is said of an option that there isn't."""

from pathlib import Path

import pytest

from unpaired.cli import run
from unpaired.options import REFERENCE, nearest_option

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("theirs", REFERENCE)
def test_what_is_said_of_the_reference_codes_options_is_what_its_page_says(theirs):
    ours = REFERENCE[theirs].split(",")[0]
    page = (DOCS / "from-reference.md").read_text()
    named = f"`--{theirs[2:].replace('-', '_')}"
    own = [line.split("|") for line in page.splitlines() if named in line and "|" in line]
    assert any(ours in row[2] for row in own), own


@pytest.mark.parametrize(
    ("theirs", "ours"), [("lambda_A", "--loss.cycle-x"), ("netD", "--discriminator.kind")]
)
def test_nested_options_are_found_too(theirs, ours, capsys):
    assert run(["train", "cyclegan", f"--{theirs}", "3"]) == 2
    assert f"here it is {ours})" in capsys.readouterr().err


def test_an_option_that_this_verb_lacks_is_not_proposed():
    assert nearest_option("--batch_size", ["--out"]) == ""


def test_the_longest_option_that_a_word_begins_with_is_meant():
    assert nearest_option("--images.load-size", ["--images", "--images.load"]) == (
        " (did you mean --images.load?)"
    )
    assert nearest_option("--batchsize", ["--batch"]) == ""  # left to what is near in letters
