"""What a fingerprint of pictures notices, and what it doesn't mind."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.training.runs import write_dataset
from unpaired.data.datasets import open_dataset
from unpaired.data.domains import Domain
from unpaired.data.fingerprint import across_machines, fingerprint


@pytest.fixture
def folder(tmp_path):
    return write_dataset(tmp_path / "data")


def rewritten(file):
    """The same size, other content, a moment later."""
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    before = file.stat().st_mtime_ns
    file.write_bytes(content)
    os.utime(file, ns=(before, before + 1))


CHANGES = {
    "added": lambda split: (split / "new.png").write_bytes((split / "00.png").read_bytes()),
    "removed": lambda split: (split / "01.png").unlink(),
    "renamed": lambda split: (split / "01.png").rename(split / "01b.png"),
    "changed": lambda split: rewritten(split / "01.png"),
}


@pytest.mark.parametrize("split", ["trainA", "trainB", "testA", "testB"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_of_any_split_is_noticed(folder, split, change):
    before = fingerprint(open_dataset(str(folder)))
    assert fingerprint(open_dataset(str(folder))) == before
    change(folder / split)
    assert fingerprint(open_dataset(str(folder))) != before


def test_a_file_that_goes_after_the_folder_was_opened_is_missed(folder):
    dataset = open_dataset(str(folder))
    before = fingerprint(dataset)
    (folder / "testA" / "00.png").unlink()
    assert fingerprint(dataset) != before


def test_a_copy_on_another_machine_is_alike_and_one_with_another_file_of_that_name_is_not(
    folder, monkeypatch
):
    before = across_machines(open_dataset(str(folder)))
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy, copy_function=shutil.copyfile)  # with times of its own
    os.utime(copy / "trainB" / "01.png", (1, 1))
    assert across_machines(open_dataset(str(copy))) == before
    content = (copy / "trainB" / "01.png").read_bytes()
    (copy / "trainB" / "01.png").write_bytes((copy / "trainA" / "02.png").read_bytes())
    assert (copy / "trainB" / "01.png").stat().st_size != len(content)
    assert across_machines(open_dataset(str(copy))) != before
    (copy / "trainB" / "01.png").write_bytes(content)
    assert across_machines(open_dataset(str(copy))) == before
    dataset = open_dataset(str(copy))
    (copy / "testA" / "00.png").unlink()
    assert across_machines(dataset) != before


def test_a_moved_folder_holds_the_same_pictures(folder):
    before = fingerprint(open_dataset(str(folder)))
    moved = folder.rename(folder.with_name("elsewhere"))
    assert fingerprint(open_dataset(str(moved))) == before


def test_part_of_a_domain_is_other_pictures(folder):
    dataset = open_dataset(str(folder))
    part = replace(dataset, test_x=dataset.test_x.subset([1]))
    other = replace(dataset, test_x=dataset.test_x.subset([0]))
    assert len({fingerprint(one) for one in (dataset, part, other)}) == 3


def test_pictures_in_memory_are_known_by_their_pixels():
    def of(value):
        pixels = np.zeros((2, 4, 4, 3), np.uint8)
        pixels[1, 2, 3, 0] = value
        domain = Domain(("a", "b"), lambda i, at_least=None: pixels[i], 3, "uint8")
        return fingerprint(replace(open_dataset("worldtiles:map-aerial"), test_y=domain))

    assert of(1) == of(1) != of(2)
