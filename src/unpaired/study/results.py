"""From answers to what a study found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from unpaired.study.assignment import arms_of, way_of
from unpaired.study.design import Design
from unpaired.study.records import exclusion, records
from unpaired.study.statistics import (
    FEW,
    RESAMPLES,
    Difference,
    Rate,
    Tally,
    difference,
    independent,
    rate,
)
from unpaired.study.store import Store

Line = dict[str, Any]
PRIOR = 4
"""Average answers that are added to a picture's own, for sorting alone."""


@dataclass(frozen=True)
class Arm:
    """What was found of one algorithm (or, of two, how often the first was preferred).

    Rates are of scored trials, None where there are none. Sessions that were broken off count as
    far as they went.
    """

    name: str
    counted: Rate | None
    """Of timed sessions that no rule excludes: the result."""
    everyone: Rate | None
    """Of timed sessions, without exclusions."""
    accessible: Rate | None
    """Of sessions without time limits that no rule excludes."""
    left: Rate | None
    """How often those who count chose the left (or first): 0.5 is without bias."""
    fooled_left: float | None
    """The share where the right answer was on the left..."""
    fooled_right: float | None
    """...and on the right."""
    began: int
    done: int
    excluded: dict[str, int]
    """Sessions by the rule that excludes them."""
    reaction: float | None
    """Median, ms."""
    late: float | None
    """Share of trials with a late frame..."""
    unfocused: float | None
    """...and of those during which the page lost focus."""


@dataclass(frozen=True)
class PictureRate:
    """How often one generated picture was taken for real (or preferred), among who counts."""

    arm: str
    name: str
    hits: int
    trials: int
    rate: float
    low: float
    high: float
    """The 95% interval: each answer is of another person."""


@dataclass(frozen=True)
class Pair:
    """Two algorithms that different people judged."""

    a: str
    b: str
    difference: Difference


@dataclass(frozen=True)
class Results:
    """Everything that `unpaired study results` says."""

    design: Design
    about: dict[str, Any]
    arms: tuple[Arm, ...]
    pairs: tuple[Pair, ...]
    pictures: tuple[PictureRate, ...]
    """By arm, from those that fooled most to those that fooled least."""
    withdrawn: int
    simulated: int
    """Sessions that nobody took part in."""
    resamples: int
    """Of the bootstrap behind the published plus-minus."""
    warnings: tuple[str, ...]

    def numbers(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


def results(
    store: Store, design: Design, about: dict[str, Any], *, resamples: int = RESAMPLES
) -> Results:
    """Count and compare everything a study holds so far."""
    key = "preferred" if design.question == "better" else "fooled"
    names = arms_of(store.pictures, design)
    lines = [line for line in records(store, design) if line["phase"] == "scored"]
    main = {name: [x for x in lines if x["arm"] == name and counts(x)] for name in names}
    tallies = {name: tally(main[name], lambda x: x[key]) for name in names}
    seed = design.seed
    arms = tuple(
        _arm(store, design, name, [x for x in lines if x["arm"] == name], key, resamples)
        for name in names
    )
    pairs = []
    for i, a in enumerate(names if design.question != "better" else ()):
        for b in names[i + 1 :]:
            if way_of(a) != way_of(b):
                continue
            found = difference(tallies[a], tallies[b], seed=seed, resamples=resamples)
            if found is not None:
                pairs.append(Pair(a, b, found))
    pictures = [one for name in names for one in _pictures(name, main[name], key)]
    simulated = len({line["session"] for line in lines if line["simulated"]})
    return Results(
        design=design,
        about=about,
        arms=arms,
        pairs=tuple(pairs),
        pictures=tuple(pictures),
        withdrawn=int(store.value("withdrawn") or 0),
        simulated=simulated,
        resamples=resamples,
        warnings=tuple(_warnings(arms, simulated)),
    )


def counts(line: Line) -> bool:
    """Whether an answer is of a timed session that no rule excludes."""
    return not line["excluded"] and not line["accessible"]


def tally(lines: Iterable[Line], of: Callable[[Line], bool | int]) -> Tally:
    """By session, which is by person."""
    return Tally.of([(line["session"], int(of(line))) for line in lines])


def _arm(
    store: Store, design: Design, name: str, lines: Sequence[Line], key: str, resamples: int
) -> Arm:
    def share(chosen: Iterable[Line], of: Callable[[Line], bool | int]) -> Rate | None:
        return rate(tally(chosen, of), seed=design.seed, resamples=resamples)

    def hit(line: Line) -> int:
        return int(line[key])

    main = [line for line in lines if counts(line)]
    timed = [line for line in lines if not line["accessible"]]
    sides = {
        side: [hit(line) for line in main if line["truth"] == side] for side in ("left", "right")
    }
    sessions = [session for session in store.sessions() if session["arm"] == name]
    answered: dict[str, list[Any]] = {session["id"]: [] for session in sessions}
    for trial in store.trials():
        if trial["answered"] is not None and trial["session"] in answered:
            answered[trial["session"]].append(trial)
    why = Counter(
        exclusion(answered[session["id"]], design, timed=not session["accessible"])
        for session in sessions
    )
    return Arm(
        name=name,
        counted=share(main, hit),
        everyone=share(timed, hit),
        accessible=share([x for x in lines if x["accessible"] and not x["excluded"]], hit),
        left=share(main, lambda line: line["choice"] == "left"),
        fooled_left=_mean(sides["left"]),
        fooled_right=_mean(sides["right"]),
        began=len(sessions),
        done=sum(session["state"] == "done" for session in sessions),
        excluded={reason: count for reason, count in sorted(why.items()) if reason},
        reaction=float(np.median([line["reaction"] for line in main])) if main else None,
        late=_mean([line["late"] for line in main]),
        unfocused=_mean([line["unfocused"] for line in main]),
    )


def _pictures(arm: str, lines: Sequence[Line], key: str) -> list[PictureRate]:
    """Sorted by their rates, each drawn towards the mean by some average answers: so that one lucky
    answer doesn't lead the list."""
    answers: dict[str, list[int]] = {}
    for line in lines:
        answers.setdefault(line["picture"], []).append(int(line[key]))
    found = [
        PictureRate(
            arm, name, sum(own), len(own), sum(own) / len(own), *independent(sum(own), len(own))
        )
        for name, own in answers.items()
    ]
    mean = sum(one.hits for one in found) / max(1, len(lines))

    def drawn(one: PictureRate) -> float:
        return (one.hits + PRIOR * mean) / (one.trials + PRIOR)

    return sorted(found, key=lambda one: (-drawn(one), one.name))


def _warnings(arms: Sequence[Arm], simulated: int) -> Iterable[str]:
    if simulated:
        yield f"{simulated} of these sessions are simulated; nothing here is about people"
    few = [arm for arm in arms if (arm.counted.people if arm.counted else 0) < FEW]
    if few:
        told = ", ".join(f"{a.name} {a.counted.people if a.counted else 0}" for a in few)
        yield (
            f"fewer than {FEW} people ({told}): intervals from so few lean on assumptions; "
            "let more take part"
        )
    for arm in arms:
        if arm.left is not None and not arm.left.low <= 0.5 <= arm.left.high:
            yield (
                f"{arm.name}: people preferred one side ({arm.left.value:.0%} left); sides are "
                "balanced, so the rate is drawn towards one half"
            )
        gone = sum(arm.excluded.values())
        if arm.began >= FEW and gone > arm.began / 3:
            yield f"{arm.name}: {gone} of {arm.began} sessions are excluded; look into why"
        if arm.late is not None and arm.late > 0.05:
            yield f"{arm.name}: {arm.late:.0%} of trials had a late frame"


def _mean(values: Sequence[int]) -> float | None:
    return float(np.mean(values)) if values else None
