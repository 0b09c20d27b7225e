"""Which pairs a participant sees, in which order, and on which side the truth is."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from unpaired.errors import UserError
from unpaired.study.design import Design
from unpaired.study.pictures import Picture

Phase = Literal["practice", "scored", "attention"]
Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")


@dataclass(frozen=True)
class Trial:
    """One pair. Pictures are ids; `truth` is the side that answers the question rightly.

    In a sequence the left picture comes first. In a study of two algorithms there is no truth: it
    is the side of the first algorithm.
    """

    position: int
    phase: Phase
    left: str
    right: str
    truth: Side
    left_address: str
    right_address: str
    """Random, and never used again: an address tells nothing, and nobody can share answers."""


def arms_of(pictures: Sequence[Picture], design: Design) -> list[str]:
    """What participants are divided among: the algorithms, or the pairs of two of them."""
    names = sorted({p.arm for p in pictures if p.kind == "fake"})
    if design.question != "better":
        return names
    return [
        f"{a} : {b}" for i, a in enumerate(names) for b in names[i + 1 :] if way_of(a) == way_of(b)
    ]


def way_of(arm: str) -> str:
    """The direction that an algorithm's name ends with in a study of both; "" otherwise."""
    name, _, last = arm.rpartition(" ")
    return last if name and last in ("x2y", "y2x") else ""


def check_enough(pictures: Sequence[Picture], design: Design) -> None:
    """Refuse a study whose pictures don't suffice for one session without showing any twice.

    Raises: UserError that says which there are too few of.
    """
    for arm in arms_of(pictures, design):
        _pairs(pictures, design, arm, np.random.default_rng(0))


def make_session(pictures: Sequence[Picture], design: Design, arm: str, number: int) -> list[Trial]:
    """The trials of the session `number` of an arm: seeded, sides balanced in every phase.

    Of an odd count the extra side changes from session to session. No picture is shown twice.

    Raises: UserError if there are too few pictures.
    """
    rng = np.random.default_rng([design.seed, number, *arm.encode()])
    pairs = _pairs(pictures, design, arm, rng)
    phases: list[Phase] = ["practice"] * design.practice
    phases += rng.permutation(
        ["scored"] * design.scored + ["attention"] * design.attention
    ).tolist()
    sides = {
        phase: iter(_sides(phases.count(phase), number, rng))
        for phase in ("practice", "scored", "attention")
    }
    trials = []
    for position, phase in enumerate(phases):
        right_answer, other = pairs[phase].pop()
        truth = next(sides[phase])
        left, right = (right_answer, other) if truth == "left" else (other, right_answer)
        addresses = secrets.token_urlsafe(18), secrets.token_urlsafe(18)
        trials.append(Trial(position, phase, left, right, truth, *addresses))
    return trials


def _sides(count: int, number: int, rng: np.random.Generator) -> list[Side]:
    """As many on the left as on the right, mixed."""
    sides: list[Side] = [SIDES[(i + number) % 2] for i in range(count)]
    return [sides[i] for i in rng.permutation(count)]


def _pairs(
    pictures: Sequence[Picture], design: Design, arm: str, rng: np.random.Generator
) -> dict[Phase, list[tuple[str, str]]]:
    """(the picture that answers the question, the other) by phase, each used once."""
    ordinary = design.practice + design.scored
    if design.question == "better":
        first, second = (_named(pictures, name) for name in arm.split(" : "))
        both = [name for name in first if name in second]
        if len(both) < ordinary:
            raise UserError(
                f"{arm}: {len(both)} scenes are there by both, a session needs {ordinary}; give "
                "more pictures, or fewer trials"
            )
        chosen = [both[i] for i in rng.permutation(len(both))[:ordinary]]
        pairs = [(first[name], second[name]) for name in chosen]
        return _split(pairs, [], design)
    fakes, way = _named(pictures, arm), way_of(arm)
    reals = {p.name: p.id for p in pictures if p.kind == "real" and p.arm in ("", way)}
    obvious = [p for p in pictures if p.kind == "obvious" and p.arm in ("", way)]
    names = [name for name in fakes if name in reals] if design.same_scene else list(fakes)
    if len(names) < ordinary or len(reals) < ordinary + design.attention:
        raise UserError(
            f"{arm}: {len(names)} generated and {len(reals)} real pictures; a session needs "
            f"{ordinary} and {ordinary + design.attention}, none shown twice; give more pictures, "
            "or fewer trials"
        )
    chosen = [names[i] for i in rng.permutation(len(names))[:ordinary]]
    if design.same_scene:
        partners = chosen
    else:  # another scene, so that what a pair shows doesn't help
        partners = _others(chosen, [str(n) for n in rng.permutation(list(reals))])
    spare = [str(n) for n in rng.permutation([n for n in reals if n not in set(partners)])]
    if len(obvious) < design.attention:
        raise UserError(f"{len(obvious)} obvious fakes, a session needs {design.attention}")
    made = [obvious[i].id for i in rng.permutation(len(obvious))[: design.attention]]
    checks = list(zip((reals[name] for name in spare), made))
    pairs = [(reals[partner], fakes[name]) for partner, name in zip(partners, chosen)]
    if design.question == "fake":
        pairs, checks = [p[::-1] for p in pairs], [p[::-1] for p in checks]
    return _split(pairs, checks, design)


def _others(names: Sequence[str], pool: Sequence[str]) -> list[str]:
    """A different name of the pool for each name, none twice."""
    taken = list(pool[: len(names)])
    for i, name in enumerate(names):
        if taken[i] == name:
            j = (i + 1) % len(taken)
            taken[i], taken[j] = taken[j], taken[i]
    if len(taken) == 1 and taken[0] == names[0] and len(pool) > 1:
        taken[0] = pool[1]
    return taken


def _split(
    pairs: list[tuple[str, str]], checks: list[tuple[str, str]], design: Design
) -> dict[Phase, list[tuple[str, str]]]:
    return {
        "practice": pairs[: design.practice],
        "scored": pairs[design.practice :],
        "attention": checks,
    }


def _named(pictures: Sequence[Picture], arm: str) -> dict[str, str]:
    return {p.name: p.id for p in pictures if p.kind == "fake" and p.arm == arm}
