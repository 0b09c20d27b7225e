from pathlib import Path

import pytest

from tests.translation.many.files import write_negative


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A network that turns pictures into their negatives, exported."""
    return write_negative(tmp_path / "negative.onnx")
