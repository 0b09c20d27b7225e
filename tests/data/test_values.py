"""What `unpaired data check` says of values, and the range it suggests."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from unpaired.data.check import check_dataset
from unpaired.data.units import Span
from unpaired.data.values import Measured, Values


def write(folder: Path, pictures: list[np.ndarray]) -> None:
    folder.mkdir(parents=True)
    for i, pixels in enumerate(pictures):
        lie = "contig" if pixels.ndim == 3 else None
        tifffile.imwrite(folder / f"{i}.tif", pixels, photometric="minisblack", planarconfig=lie)


def test_the_check_prints_values_by_channel_and_suggests_both_ranges(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    twelve = [rng.integers(0, 4096, (16, 16, 2)).astype(np.uint16) for _ in range(3)]
    eight = [rng.integers(0, 256, (16, 16)).astype(np.uint8) for _ in range(3)]
    write(tmp_path / "trainA", twelve)
    write(tmp_path / "trainB", eight)
    report = check_dataset(str(tmp_path))
    (x,) = report.values
    whole = np.stack(twelve).reshape(-1, 2)
    assert [(c.least, c.most) for c in x.channels] == [(w.min(), w.max()) for w in whole.T]
    assert [c.high for c in x.channels] == pytest.approx(np.percentile(whole, 99.9, axis=0))
    assert "values of channel 2: 1 to 4093 (0.1" in report.text()
    assert any("--images.range 0 4095 --images.range-y 0 255" in w for w in report.warnings)


def test_types_that_need_a_range_are_checked_and_told(tmp_path: Path) -> None:
    hounsfield = np.linspace(-1000, 1500, 256).reshape(16, 16).astype(np.int16)
    holes = np.linspace(0, 1, 256).reshape(16, 16).astype(np.float32)
    write(tmp_path / "trainA", [hounsfield] * 2)
    write(tmp_path / "trainB", [holes] * 30 + [np.where(holes > 0.9, np.nan, holes)])
    report = check_dataset(str(tmp_path))
    assert report.splits["train_x"].dtype == "int16"
    assert report.splits["train_x"].pictures == 2
    assert any("nan or inf" in reason for _, reason in report.unreadable)
    text = report.text()
    assert "1 files of domain Y hold nan or inf" in text
    assert "--images.range -1000 1500 --images.range-y 0 1" in text


@pytest.mark.parametrize(
    ("dtype", "ends", "span"),
    [
        ("uint16", (0, 0, 65000, 65535), None),
        ("uint16", (0, 200, 3900, 4095), (0, 4095)),
        ("uint16", (90, 100, 900, 1000), (0, 1023)),
        ("int16", (-1024, -1000, 1980, 3071), (-1000, 2000)),
        ("float32", (0.0, 0.013, 0.84, 3.0), (0.01, 0.84)),
        ("int16", (5, 5, 5, 5), (5, 5)),
    ],
)
def test_a_suggested_range_can_be_typed(dtype: str, ends: tuple, span: Span | None) -> None:
    found = Measured("x", (dtype,), (Values(*ends),), 0).suggested
    assert found == pytest.approx(span) if span else found is None
