"""Packages that only some tests need: a bare machine passes those over, CI has no excuse."""

import importlib
import os
from typing import Any

import pytest


def need(module: str) -> Any:
    """The module; the test is skipped without it, but in CI it fails."""
    if os.environ.get("CI"):
        return importlib.import_module(module)
    return pytest.importorskip(module)
