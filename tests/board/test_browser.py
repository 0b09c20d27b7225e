"""The board in a real Chromium, beside a real training."""

import os
import shutil
import signal
import sys
import threading

import pytest

from tests.board.folders import board, write_run
from tests.training.runs import in_process, write_dataset

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TRAIN = """
import sys
from pathlib import Path
from tests.training.runs import tiny_config
from unpaired.training.run import train
config = tiny_config(Path(sys.argv[1]), steps=100_000, log_every=1, sample_every=20)
train(config, Path(sys.argv[2]), quiet=True)
"""

if not os.environ.get("CI"):  # there, missing is failing
    pytest.importorskip("playwright")
    pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "install chromium"
    with sync_playwright() as player:
        one = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1000, "height": 900})
    one = context.new_page()
    one.set_default_timeout(60_000)
    yield one
    context.close()


def step_of(page) -> int:
    text = page.locator(".facts li", has_text="step").first.inner_text()
    return int(text.removeprefix("step ").replace(",", ""))


def test_the_page_renews_itself_while_a_run_goes_and_says_when_it_died(page, tmp_path):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    run = tmp_path / "run"
    process = in_process(TRAIN, write_dataset(tmp_path / "data"), run)
    one = board({"run": run}, every=0.3)
    thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        page.goto(f"http://127.0.0.1:{one.server_address[1]}/")
        page.wait_for_selector(".state.training")
        before = step_of(page)
        page.evaluate("window.same = true")
        page.wait_for_selector("img[alt='sample grid of step 20']")
        page.wait_for_function("document.images[0].naturalWidth > 0")
        assert step_of(page) > before
        page.wait_for_selector("#losses ~ .curves svg")
        if sys.platform == "linux":
            process.send_signal(signal.SIGKILL)
            process.wait()
            page.wait_for_selector(".state.gone")
            assert "--resume" in page.inner_text("pre")
        assert page.evaluate("window.same") is True  # it was never loaded anew
        assert errors == []
    finally:
        process.kill()
        process.communicate()
        one.shutdown()
        thread.join()
        one.server_close()
    page.wait_for_selector("#lost", state="visible")


def test_the_overview_leads_to_a_run_on_a_narrow_screen_too(page, tmp_path):
    runs = {"first": write_run(tmp_path / "first"), "second": write_run(tmp_path / "second")}
    page.set_viewport_size({"width": 380, "height": 700})
    with board(runs) as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        page.goto(f"http://127.0.0.1:{one.server_address[1]}/")
        page.get_by_role("link", name="second").click()
        page.wait_for_selector("h1:has-text('second')")
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        page.get_by_role("link", name="all runs").click()
        page.wait_for_selector("text=2 runs")
        one.shutdown()
        thread.join()
    assert wide <= 0
