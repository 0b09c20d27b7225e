"""How a study is getting on: sessions and live rates per arm."""

from __future__ import annotations

from typing import Any

from unpaired.study.assignment import arms_of
from unpaired.study.design import Design
from unpaired.study.records import records
from unpaired.study.results import counts
from unpaired.study.store import Store


def progress(store: Store, design: Design) -> dict[str, Any]:
    """For the admin page; "rate" is of the trials that count, or None."""
    sessions = store.sessions()
    lines = [line for line in records(store, design) if line["phase"] == "scored"]
    key = "preferred" if design.question == "better" else "fooled"
    arms = []
    for arm in arms_of(store.pictures, design):
        own = [s for s in sessions if s["arm"] == arm]
        counted = [line for line in lines if line["arm"] == arm and counts(line)]
        excluded = {line["session"] for line in lines if line["arm"] == arm and line["excluded"]}
        arms.append(
            {
                "name": arm,
                "began": len(own),
                "done": sum(s["state"] == "done" for s in own),
                "accessible": sum(bool(s["accessible"]) for s in own),
                "excluded": len(excluded),
                "wanted": design.people,
                "trials": len(counted),
                "rate": sum(line[key] for line in counted) / len(counted) if counted else None,
            }
        )
    return {"arms": arms, "began": len(sessions), "question": design.question}
