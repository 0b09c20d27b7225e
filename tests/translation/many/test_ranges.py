"""Pictures in units of their own, through shards, stores and pipes of pictures."""

import io
from pathlib import Path

import numpy as np
import onnx
import pytest
import tifffile

from tests.translation.fakes import card
from tests.translation.many.files import members_of, order, write_negative, write_shard
from unpaired.data.units import Units
from unpaired.translation.exporting.label import KEY, label_of
from unpaired.translation.many.work import translate_many


@pytest.fixture
def ranged(tmp_path: Path) -> Path:
    """The negative, of Hounsfield units from -1000 to 1000."""
    place = write_negative(tmp_path / "hounsfield.onnx")
    units = Units(-1000, 1000, "int16")
    deep = {"dtype_x": "uint16", "dtype_y": "uint16", "units_x": units, "units_y": units}
    model = onnx.load(place)
    del model.metadata_props[:]
    label = label_of(card(**deep), "x2y", 4, "hounsfield")
    onnx.helper.set_model_props(model, {KEY: label.write()})
    onnx.save(model, place)
    return place


def tiff(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, photometric="minisblack", planarconfig="contig")
    return buffer.getvalue()


def test_shards_and_folders_keep_units(tmp_path: Path, ranged: Path) -> None:
    values = np.random.default_rng(0).integers(-1000, 1001, (8, 12, 3)).astype(np.int16)
    write_shard(tmp_path / "in/s-0.tar", {"a.tif": tiff(values)})
    outcome = translate_many(order(ranged, str(tmp_path / "in/s-0.tar"), out=tmp_path / "shards"))
    assert (outcome.translated, outcome.failed) == (1, [])
    (made,) = members_of((tmp_path / "shards/s-0.tar").read_bytes()).values()
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(made)), -np.moveaxis(values, 2, 0))
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose/a.tif").write_bytes(tiff(values))
    translate_many(order(ranged, str(tmp_path / "loose"), out=tmp_path / "out"))
    made = tifffile.imread(tmp_path / "out/a.tif")
    assert made.dtype == np.int16
    np.testing.assert_array_equal(made, -np.moveaxis(values, 2, 0))
