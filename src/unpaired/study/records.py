"""Every answer as a line for analysis, and who is excluded by the rules that were fixed before."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from unpaired.study.design import Design
from unpaired.study.store import Store

CODEBOOK: dict[str, str] = {
    "session": "number of the session, in the order they began; who took part is not told",
    "arm": "algorithm (and direction), or 'A : B' where two were compared",
    "simulated": "1: nobody took part; `unpaired study simulate` answered",
    "accessible": "1: without time limits, by the participant's choice; analysed apart",
    "excluded": "why the session doesn't count, by the rules of the design; empty: it counts",
    "complete": "1: the session reached its end",
    "position": "place of the trial in the session, from 0",
    "phase": "practice (with feedback), scored, or attention (an obvious fake)",
    "picture": "name of the generated picture; of the first algorithm's in 'A : B'",
    "other": "name of the picture beside it",
    "truth": "the side that answers the question rightly; of the first algorithm in 'A : B'",
    "choice": "the side that was chosen; left is the first of a sequence",
    "fooled": "1: the generated picture was taken for the real one",
    "preferred": "1: the first algorithm's picture was preferred ('A : B' only)",
    "reaction": "from the question (or, side by side, the pictures) to the answer, ms",
    "exposure_left": "how long the left picture was really shown, ms; empty without a limit",
    "exposure_right": "the same of the right one",
    "late": "1: a frame came so late that an exposure was wrong by more than 34 ms",
    "unfocused": "1: the page was hidden or lost focus during the trial",
    "input": "keyboard, mouse or touch",
    "width": "of the browser window, CSS pixels",
    "height": "the same",
}
"""What the columns of the export mean."""

SIMULATED = "sim-"
"""Begins the participant's id of whoever is made up."""


def records(store: Store, design: Design) -> list[dict[str, Any]]:
    """One line per answered trial, by session and position; keys are those of CODEBOOK."""
    pictures = {picture.id: picture for picture in store.pictures}
    by_session: dict[str, list[Any]] = {}
    for trial in store.trials():
        if trial["answered"] is not None:
            by_session.setdefault(trial["session"], []).append(trial)
    lines = []
    for session in store.sessions():
        trials = by_session.get(session["id"], [])
        excluded = exclusion(trials, design, timed=not session["accessible"])
        for trial in trials:
            report = json.loads(trial["report"])
            exposures = [*report["exposures"], "", ""][:2]
            viewport = [*report["viewport"], "", ""][:2]
            sides = {"left": trial["left_picture"], "right": trial["right_picture"]}
            truth, choice = trial["truth"], trial["choice"]
            away = "left" if truth == "right" else "right"
            generated = truth if design.question in ("fake", "better") else away
            beside = away if generated == truth else truth
            versus = design.question == "better"
            lines.append(
                {
                    "session": session["number"],
                    "arm": session["arm"],
                    "simulated": int((session["person"] or "").startswith(SIMULATED)),
                    "accessible": session["accessible"],
                    "excluded": excluded,
                    "complete": int(session["state"] == "done"),
                    "position": trial["position"],
                    "phase": trial["phase"],
                    "picture": pictures[sides[generated]].name,
                    "other": pictures[sides[beside]].name,
                    "truth": truth,
                    "choice": choice,
                    "fooled": "" if versus else int(choice != truth),
                    "preferred": int(choice == truth) if versus else "",
                    "reaction": trial["reaction"],
                    "exposure_left": exposures[0],
                    "exposure_right": exposures[1],
                    "late": int(report["late"]),
                    "unfocused": int(report["unfocused"]),
                    "input": report["input"],
                    "width": viewport[0],
                    "height": viewport[1],
                }
            )
    return lines


def exclusion(trials: Sequence[Any], design: Design, *, timed: bool) -> str:
    """Why a session doesn't count; "" if it does. Speed and lateness hold for timed ones only."""
    failed = sum(t["phase"] == "attention" and t["choice"] != t["truth"] for t in trials)
    if failed > design.attention_allowed:
        return "attention"
    scored = [t for t in trials if t["phase"] == "scored"]
    if not scored:
        return "no scored trial"
    fast = sum(t["reaction"] < design.fastest for t in scored) / len(scored)
    if timed and fast > design.fast_allowed:
        return "too fast"
    late = sum(json.loads(t["report"])["late"] for t in scored) / len(scored)
    if timed and late > design.late_allowed:
        return "late frames"
    return ""


def as_csv(lines: Sequence[dict[str, Any]]) -> str:
    """The lines with a head (RFC 4180)."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(CODEBOOK), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
