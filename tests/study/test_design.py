"""A study's parameters, and its file."""

import pytest

from unpaired.errors import UserError
from unpaired.study.design import PRESETS, Design, read_design, write_design


@pytest.mark.parametrize("name", PRESETS)
def test_presets_come_back_from_their_file(name, tmp_path):
    write_design(tmp_path / "study.yaml", PRESETS[name])
    assert read_design(tmp_path / "study.yaml") == PRESETS[name]


def test_the_preset_of_the_paper_is_what_its_appendix_says():
    """Zhu et al. 2017: 1 s each, 10 practice, 40 scored trials, 25 people; which is real."""
    design = PRESETS["cyclegan2017"]
    assert (design.exposure, design.blank_before, design.blank_between) == (1000, 900, 600)
    assert (design.practice, design.scored, design.people) == (10, 40, 25)
    assert (design.question, design.order) == ("real", "sequence")
    other = PRESETS["pix2pix2016"]
    assert (other.question, other.people, other.same_scene) == ("fake", 50, False)


@pytest.mark.parametrize(
    ("changed", "shown_for", "least"),
    [
        ({}, 2600, 2.532),
        ({"order": "together"}, 1000, 0.966),
        ({"order": "together", "exposure": None}, None, 0.0),
        ({"exposure": 50, "blank_between": 0}, 100, 0.032),
    ],
)
def test_pictures_take_their_exposures_and_the_blank_between_them(changed, shown_for, least):
    design = Design(**changed)
    assert (design.shown_for, design.least_seconds) == (shown_for, pytest.approx(least))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("scorde: 4", "did you mean scored"),
        ("scored: four", "must be int"),
        ("scored: true", "must be int"),
        ("scored: 0", "give 1 or more"),
        ("question: fakest", "must be Question"),
        ("exposure: null", "need an exposure"),
        ("exposure: 5", "50 to 60000"),
        ("late_allowed: 2", "share from 0 to 1"),
        ("completion_url: javascript:alert(1)", "https://"),
        ("- 1", "is no design"),
        ("a: [", "can be read"),
    ],
)
def test_a_wrong_file_is_one_line(line, said, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(line)
    with pytest.raises(UserError, match=said) as error:
        read_design(path)
    assert "\n" not in str(error.value)


def test_what_a_file_leaves_out_is_as_in_the_paper(tmp_path):
    (tmp_path / "study.yaml").write_text("people: 7\n")
    assert read_design(tmp_path / "study.yaml") == Design(people=7)
