"""What a run says before its first step, and where there is none left."""

import re
import time
from dataclasses import replace

import numpy as np
import pytest

from tests.training.runs import tiny_config, write_dataset, write_pictures
from unpaired.data.domains import Domain
from unpaired.data.units import Units
from unpaired.study.design import PRESETS
from unpaired.training.outset import STUDY, dark
from unpaired.training.progress import Reporter
from unpaired.training.run import train


def said(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return capfd.readouterr().err.splitlines()


def test_a_run_first_says_how_many_pictures_it_has_and_when_it_ends(tmp_path, capfd):
    data = write_dataset(tmp_path / "data", train=21, test=1)
    train(tiny_config(data, steps=1), tmp_path / "run")
    first, *rest = said(capfd)
    assert first == (
        f"cyclegan on {data}: 21 + 19 pictures, 1 + 1 held out for tests; cpu, fp32; ends after "
        "1 step"
    )
    assert rest[0].startswith("warning: X has only 21 pictures; below 100")
    assert rest[1].startswith("warning: Y has only 19 pictures")
    assert "fewer than 2 pictures of a side are held out" in rest[2]
    assert rest[3].startswith("step 1")


def test_two_folders_that_hold_out_few_are_told_of(tmp_path, capfd):
    for seed, name in enumerate(("a", "b")):
        write_pictures(tmp_path / name, 60, seed)
    x, y = tmp_path / "a", tmp_path / "b"
    config = replace(tiny_config(tmp_path, steps=1), data=None, x=str(x), y=str(y))
    train(config, tmp_path / "run")
    lines = said(capfd)
    held = re.search(r"(\d+) \+ (\d+) held out", lines[0])
    assert held
    fewest = min(int(count) for count in held.groups())
    assert any(f"only {fewest} pictures of a side are held out" in line for line in lines)


def test_a_session_of_the_papers_study_takes_as_many_pictures_as_the_warning_says():
    design = PRESETS["cyclegan2017"]
    assert design.practice + design.scored + design.attention == STUDY


def test_a_finished_run_says_how_it_is_made_longer_and_takes_no_step(tmp_path, capfd):
    config = tiny_config(write_dataset(tmp_path / "data"), steps=2)
    run = train(config, tmp_path / "run")
    said(capfd)
    train(config, run, resume=True)
    lines = said(capfd)
    assert (
        lines[0] == f"{run} is finished: step 2, the end by --steps 2; a larger --steps makes "
        "it longer"
    )
    assert lines[1].startswith("done: 2 steps")
    assert len(lines) == 2


def test_a_continued_run_says_from_where_and_warns_no_second_time(tmp_path, capfd):
    config = tiny_config(write_dataset(tmp_path / "data"), steps=2)
    run = train(config, tmp_path / "run")
    said(capfd)
    train(tiny_config(tmp_path / "data", steps=3), run, resume=True)
    lines = said(capfd)
    assert lines[0].startswith(f"continuing {run} from step 2: 7 + 5 pictures")
    assert not any(line.startswith("warning") for line in lines)


def test_progress_leaves_out_what_is_not_known(capfd):
    reporter = Reporter()
    reporter.show(1, 0.1, {"D": 0.5}, rate=0.0, left=9.0)
    reporter.show(10, 1.0, {}, rate=2.0, left=0.0)
    assert said(capfd) == [
        "step 1   10%  0:09 left  D 0.500",
        "step 10  100%  2.0 images/s  0:00 left",
    ]


def test_what_takes_long_is_said_and_what_does_not_is_not(capfd):
    reporter = Reporter()
    with reporter.patience("quick", seconds=30):
        pass
    with reporter.patience("slow", seconds=0.01):
        time.sleep(0.5)
    assert said(capfd) == ["slow"]


def domain(top: int, dtype: str = "uint16", units: Units | None = None) -> Domain:
    def read(index: int, at_least: int | None = None) -> np.ndarray:
        return np.linspace(0, top, 256).reshape(16, 16, 1).astype(dtype)

    return Domain(("a", "b", "c"), read, 1, dtype, units=units)


@pytest.mark.parametrize(
    ("own", "share"),
    [
        (domain(4095), "6%"),
        (domain(40000), ""),
        (domain(40, "uint8"), ""),
        (domain(4095, units=Units(0, 65535, "uint16")), ""),
    ],
)
def test_few_bits_are_told_of(own: Domain, share: str) -> None:
    line = dark("X", own)
    assert line.startswith(f"X uses {share} of 16 bits") if share else line == ""
