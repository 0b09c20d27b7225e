"""Which pairs a session shows."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.study.studies import small_design
from unpaired.errors import UserError
from unpaired.study.assignment import arms_of, check_enough, make_session
from unpaired.study.pictures import Picture


def pictures(count=30, arms=("a", "b"), obvious=4):
    made = [Picture(f"r{i}", "real", "", f"n{i}") for i in range(count)]
    made += [Picture(f"{arm}{i}", "fake", arm, f"n{i}") for arm in arms for i in range(count)]
    return made + [Picture(f"o{i}", "obvious", "", f"o{i}") for i in range(obvious)]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 8),
    st.integers(1, 16),
    st.integers(0, 4),
    st.integers(0, 50),
    st.sampled_from(["cyclegan2017", "pix2pix2016", "untimed"]),
    st.booleans(),
)
def test_sides_are_balanced_and_no_picture_is_shown_twice(
    practice, scored, attention, number, preset, same
):
    design = small_design(
        preset, practice=practice, scored=scored, attention=attention, same_scene=same
    )
    trials = make_session(pictures(), design, "a", number)
    assert [t.position for t in trials] == list(range(practice + scored + attention))
    for phase, count in (("practice", practice), ("scored", scored), ("attention", attention)):
        sides = Counter(t.truth for t in trials if t.phase == phase)
        assert sum(sides.values()) == count
        assert abs(sides["left"] - sides["right"]) == count % 2
    assert all(t.phase == "practice" for t in trials[:practice])
    shown = [picture for t in trials for picture in (t.left, t.right)]
    assert len(set(shown)) == len(shown)
    for t in trials:
        truth = t.left if t.truth == "left" else t.right
        other = t.right if t.truth == "left" else t.left
        real, fake = (truth, other) if design.question == "real" else (other, truth)
        assert real.startswith("r")
        assert fake.startswith("o" if t.phase == "attention" else "a")
        if t.phase != "attention":
            assert (real[1:] == fake[1:]) is same


def test_of_an_odd_count_the_extra_side_changes_from_session_to_session():
    design = small_design(practice=0, scored=5, attention=0)
    extra = [
        Counter(t.truth for t in make_session(pictures(), design, "a", n)).most_common(1)[0][0]
        for n in range(4)
    ]
    assert extra == ["left", "right"] * 2


def test_a_session_follows_from_the_seed_but_its_addresses_never_repeat():
    design = small_design()
    one, again, other = (make_session(pictures(), design, "a", n) for n in (3, 3, 4))
    pairs = [[(t.left, t.right, t.phase) for t in trials] for trials in (one, again, other)]
    assert pairs[0] == pairs[1] != pairs[2]
    addresses = [a for t in one + again for a in (t.left_address, t.right_address)]
    assert len(set(addresses)) == len(addresses)


def test_two_algorithms_are_compared_on_the_same_scenes():
    design = small_design("versus")
    assert arms_of(pictures(arms=("a", "b", "c")), design) == ["a : b", "a : c", "b : c"]
    for t in make_session(pictures(), design, "a : b", 0):
        first, second = (t.left, t.right) if t.truth == "left" else (t.right, t.left)
        assert (first[0], second[0]) == ("a", "b")
        assert first[1:] == second[1:]


def test_too_few_pictures_are_refused():
    with pytest.raises(UserError, match="none shown twice"):
        check_enough(pictures(count=9), small_design())
    check_enough(pictures(count=10), small_design())
    with pytest.raises(UserError, match="scenes are there by both"):
        check_enough(pictures(count=5), small_design("versus"))
