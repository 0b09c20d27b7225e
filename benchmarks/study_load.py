"""Many made-up people at once against one server: `python -m benchmarks.study_load`.

Each takes part as a browser would: fetches every picture, waits as long as it is shown, answers.
Server and people share this machine, so a server of its own is faster than what this prints.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import made_up_study
from unpaired.study.simulation import People, acknowledged_but_lost, simulate, truth_from
from unpaired.study.store import Store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--think", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=256)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study = made_up_study.make(Path(folder) / "study", size=given.size)
        with made_up_study.served(study) as address:
            happened = simulate(
                address,
                given.people,
                People(think=given.think),
                at_once=given.people,
                truth=truth_from(study),
            )
        print(happened.text)
        store = Store(study / "study.sqlite")
        sessions = store.sessions()
        arms = [session["arm"] for session in sessions]
        print(f"answers lost: {len(acknowledged_but_lost(store, happened))}")
        print("sessions per algorithm:", {arm: arms.count(arm) for arm in sorted(set(arms))})
        store.close()


if __name__ == "__main__":
    main()
