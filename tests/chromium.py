"""Debian's Chromium, for pages that people really see."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def needed(*modules: str) -> list:
    """Marks for a module of tests, which is skipped where a module or Chromium is missing; in CI,
    missing is failing."""
    if os.environ.get("CI"):
        return []
    for module in ("playwright", *modules):
        pytest.importorskip(module)
    return [pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")]


@contextmanager
def chromium(*arguments: str) -> Iterator:
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "install chromium"
    with sync_playwright() as player:
        one = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *arguments])
        yield one
        one.close()


@contextmanager
def faultless_page(browser, **settings: object) -> Iterator:
    """A page of its own; what goes wrong in it, or is said to its console as an error, fails."""
    errors: list[str] = []
    context = browser.new_context(**settings)
    one = context.new_page()
    one.on("pageerror", lambda error: errors.append(str(error)))
    one.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    one.set_default_timeout(20_000)
    yield one
    context.close()
    assert errors == []
