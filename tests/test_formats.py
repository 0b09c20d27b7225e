"""The worked examples of docs/formats.md, run as they stand on the page, on made-up scans."""

import contextlib
import io
import shlex
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset

from tests.cli.test_wrong_use import TINY
from tests.test_docs import ROOT, blocks, commands
from unpaired.cli import run
from unpaired.translation.translator import Translator

PAGE = ROOT / "docs/formats.md"
RNG = np.random.default_rng(0)


def disc(size: int, inside: float, outside: float) -> np.ndarray:
    y, x = np.mgrid[:size, :size] / size - 0.5
    shape = (y - RNG.uniform(-0.1, 0.1)) ** 2 + (x - RNG.uniform(-0.1, 0.1)) ** 2 < 0.1
    return np.where(shape, inside, outside) + RNG.normal(0, 5, (size, size))


def write_dicom(path: Path, stored: np.ndarray) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    scan = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    scan.SOPClassUID, scan.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    scan.Rows, scan.Columns = stored.shape
    scan.SamplesPerPixel, scan.PhotometricInterpretation = 1, "MONOCHROME2"
    scan.BitsAllocated, scan.BitsStored, scan.HighBit, scan.PixelRepresentation = 16, 12, 11, 0
    scan.RescaleSlope, scan.RescaleIntercept = 1, -1024
    scan.PixelData = stored.astype(np.uint16).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    scan.save_as(path, enforce_file_format=True)


@contextlib.contextmanager
def told() -> Iterator[io.StringIO]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        yield said


def follow(example: list[str]) -> str:
    """Run the commands of one example, trained for two tiny steps; gives what they print."""
    with told() as said:
        for line in example:
            _, *arguments = shlex.split(line)
            if arguments[0] == "train":
                arguments += [*TINY, "--steps", "2"]
            if arguments[0] == "translate":
                arguments += ["--backend", "torch"]  # which exports nothing
            assert run(arguments) == 0, line
    return said.getvalue()


def test_ct_and_mr_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for i in range(4):
        write_dicom(Path(f"ct/{i}.dcm"), disc(32, 1100, 40).clip(0, 4095))
    Path("mr").mkdir()
    volume = np.stack([disc(32, 700, 10).clip(0) for _ in range(4)], axis=2)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), "mr/a.nii.gz")
    from_dicom, from_nifti = blocks(PAGE, "python")[:2]
    exec(from_dicom, {})
    exec(from_nifti, {})
    air = tifffile.imread("slices/trainA/0.tif")
    assert air.dtype == np.int16
    assert air[0, 0] == pytest.approx(-984, abs=30)
    assert len(list(Path("slices/trainB").iterdir())) == 4
    said = follow(commands(PAGE)[2:6])
    assert "domain X is int16, which needs a range" in said
    for name, low, high in (("made", 0, 1500), ("made-ct", -1000, 1000)):
        pictures = [tifffile.imread(path) for path in Path(name).iterdir()]
        assert len(pictures) == 4
        for made in pictures:
            assert made.dtype == np.int16
            assert made.shape == (32, 32)
            assert low <= made.min() <= made.max() <= high
    for span, code in (("-1000 900", 2), ("-1000 1000", 0)):  # only the same range goes on
        command = f"train cyclegan --out ct-mr --resume --steps 3 --images.range {span}"
        assert run(command.split()) == code
    again = Translator.load("ct-mr", backend="torch")(air[:, :, None])
    assert again.dtype == np.int16


def test_fluorescence_to_a_stain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("raw", "cells/trainB"):
        Path(folder).mkdir(parents=True)
    for i in range(4):
        for k, dye in enumerate(("DAPI", "FITC", "TRITC", "Cy5", "BF")):
            cells = disc(32, 900 * k + 300, 20).clip(0, 4095).astype(np.uint16)
            tifffile.imwrite(f"raw/{i}_{dye}.tif", cells)
        Image.fromarray(RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(
            f"cells/trainB/{i}.png"
        )
    exec(blocks(PAGE, "python")[2], {})
    said = follow(commands(PAGE)[6:10])
    assert "train with --images.range 0 4095 --images.range-y 0 255" in said
    stained = [np.asarray(Image.open(path)) for path in Path("stained").iterdir()]
    assert [(p.shape, p.dtype) for p in stained] == [((32, 32, 3), np.uint8)] * 4
    for path in Path("dyes").iterdir():
        with tifffile.TiffFile(path) as tiff:
            assert tiff.series[0].axes == "CYX"
            planes = tiff.asarray()
        assert (planes.shape, planes.dtype) == ((5, 32, 32), np.uint16)
        assert planes.max() <= 4095
    assert run(["evaluate", "stain"]) == 0
    assert "5 channels, each in a hue of its own" in Path("stain/report.html").read_text("utf-8")
