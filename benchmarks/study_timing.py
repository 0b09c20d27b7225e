"""How long pictures are really shown in a browser: `python -m benchmarks.study_timing`.

Needs playwright and a Chromium. Run it on an idle machine: what else runs there delays frames.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks import made_up_study
from unpaired.study.design import read_design
from unpaired.study.records import records
from unpaired.study.store import Store

CLOSE = 34  # ms: two frames at 60 Hz


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=3)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study = made_up_study.make(Path(folder) / "study", practice=0, attention=0)
        with made_up_study.served(study) as address, sync_playwright() as player:
            browser = player.chromium.launch(executable_path=given.chromium, args=["--no-sandbox"])
            for _ in range(given.sessions):
                take_part(browser.new_page(), address)
            browser.close()
        store = Store(study / "study.sqlite")
        lines = records(store, read_design(study / "study.yaml"))
        store.close()
    off = np.array([line[f"exposure_{s}"] - 1000 for line in lines for s in ("left", "right")])
    print(
        f"{len(off)} exposures of 1000 ms: {100 * (abs(off) <= CLOSE).mean():.2f}% within {CLOSE} "
        f"ms; median {1000 + np.median(off):.1f}, 1st and 99th percentile "
        f"{1000 + np.percentile(off, 1):.1f} and {1000 + np.percentile(off, 99):.1f} ms; "
        f"{sum(line['late'] for line in lines)} trials flagged late"
    )


def take_part(page, address: str) -> None:
    """One session by keyboard."""
    page.goto(address)
    page.get_by_label("I agree").check()
    page.get_by_role("button", name="Begin").click()
    while True:
        page.wait_for_selector("#question, .answers button:not([data-side]), summary")
        if "/thanks" in page.url:
            return
        if page.query_selector("#question"):
            page.keyboard.press("f")
            page.wait_for_selector("#question", state="detached")
        elif button := page.query_selector(".answers button:not([data-side])"):
            button.click()
            page.wait_for_timeout(30)


if __name__ == "__main__":
    main()
